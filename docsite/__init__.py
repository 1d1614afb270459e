"""The documentation as a site (`make docs`): pages that the code is read for, and links made to lead on."""
