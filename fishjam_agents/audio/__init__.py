"""Sound as arrays: pure functions and small objects on int16, no task, socket or clock.

`formats` rate and channels · `samples` the array type · `wav` files · `resampling` rates · `reblock`
20 ms frames · `vad` is this speech? · `gain` fades and levels · `mixing` several voices in one.

Import from the modules: whoever needs a level should not pay for loading a resampler.
"""
