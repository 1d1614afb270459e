/* What the files of `fishjam_agents.audio._native` share: C99, and the limited API of Python 3.11. */
#ifndef FISHJAM_AGENTS_NATIVE_H
#define FISHJAM_AGENTS_NATIVE_H

/* The build sets both, and Py_LIMITED_API (hatch_build.py); these are for editors. */
#ifndef Py_LIMITED_API
#define Py_LIMITED_API 0x030B0000
#endif
#ifndef NATIVE_SOURCES
#define NATIVE_SOURCES ""
#endif

#define PY_SSIZE_T_CLEAN
#include <Python.h>

/* Each adds its types to the module: 0, or -1 with an exception set. */
int add_detector(PyObject *module);
int add_echo_guard(PyObject *module);
int add_echo_sound(PyObject *module);

#endif
