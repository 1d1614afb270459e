"""The budget table of the design, measured: `python -m bench`.

Figures of two machines cannot be compared, nor figures of one machine at two loads. So each cost is
measured beside a reference in the same run, at the same number of calls, several times over in turn.
"""
