/* The types `EchoGuard` and `GuardedFrame`: `echo_guard.h` for Python, with the interface of `audio/echo.py`. */

#include "native.h"

#include "echo_guard.h"

#include <math.h>
#include <string.h>

typedef struct {
    PyObject_HEAD
    struct echo_guard guard;
    PyObject *echo;  /* The class of what `expect` returns. */
    PyObject *frame; /* GuardedFrame. */
} EchoGuard;

typedef struct {
    PyObject_HEAD
    PyObject *guard; /* EchoGuard. */
    double window[ECHO_LAGS][ECHO_COLUMNS];
} GuardedFrame;

/* Arguments. */

static int wrong_count(const char *name, const char *wanted, Py_ssize_t given)
{
    PyErr_Format(PyExc_TypeError, "%s takes %s, %zd given", name, wanted, given);
    return -1;
}

/* Read a sequence of a number for each band. Items may be of any type, and their `__float__` may do anything. */
static int read_bands(double bands[ECHO_BANDS], PyObject *given, const char *name)
{
    const Py_ssize_t count = PySequence_Size(given);
    if (count < 0)
        return -1;
    if (count != ECHO_BANDS) {
        PyErr_Format(PyExc_ValueError, "%s must have a number for each of %d bands, not %zd of them", name,
                     ECHO_BANDS, count);
        return -1;
    }
    for (int band = 0; band < ECHO_BANDS; band++) {
        PyObject *item = PySequence_GetItem(given, band);
        if (item == NULL)
            return -1;
        bands[band] = PyFloat_AsDouble(item);
        Py_DECREF(item);
        if (bands[band] == -1.0 && PyErr_Occurred())
            return -1;
    }
    return 0;
}

static int read_number(double *number, PyObject *given)
{
    *number = PyFloat_AsDouble(given);
    return *number == -1.0 && PyErr_Occurred() ? -1 : 0;
}

/* Look at a window where it lies; the view is to be released. */
static int view_window(Py_buffer *view, PyObject *given)
{
    if (!PyObject_CheckBuffer(given)) {
        PyErr_SetString(PyExc_TypeError, "window must be a float64 array of shape (26, 6)");
        return -1;
    }
    if (PyObject_GetBuffer(given, view, PyBUF_RECORDS_RO) < 0)
        return -1;
    if (view->format == NULL || strcmp(view->format, "d") != 0) {
        PyErr_Format(PyExc_TypeError, "window must be a float64 array, not one of \"%s\"",
                     view->format == NULL ? "B" : view->format);
    } else if (view->ndim != 2 || view->shape[0] != ECHO_LAGS || view->shape[1] != ECHO_COLUMNS) {
        PyErr_Format(PyExc_ValueError, "window must have the shape (%d, %d)", ECHO_LAGS, ECHO_COLUMNS);
    } else if (!PyBuffer_IsContiguous(view, 'C')) {
        PyErr_SetString(PyExc_ValueError, "window must be contiguous: a slice of rows, not of columns");
    } else {
        return 0;
    }
    PyBuffer_Release(view);
    return -1;
}

/* What is expected. */

/* An `Echo`: `bands` is NULL while only its level is known. */
static PyObject *make_echo(PyObject *type, const double *bands, double level)
{
    PyObject *powers = bands == NULL ? PyTuple_New(0) : PyList_New(ECHO_BANDS);
    if (powers == NULL)
        return NULL;
    for (Py_ssize_t band = 0; bands != NULL && band < ECHO_BANDS; band++) {
        PyObject *power = PyFloat_FromDouble(bands[band]);
        if (power == NULL || PyList_SetItem(powers, band, power) < 0) {
            Py_DECREF(powers);
            return NULL;
        }
    }
    PyObject *fields = Py_BuildValue("(Nd)", powers, level);
    PyObject *arguments = fields == NULL ? NULL : PyTuple_Pack(1, fields);
    Py_XDECREF(fields);
    if (arguments == NULL)
        return NULL;
    /* A named tuple is a tuple: `Echo.__new__`, which is written in Python, does the same. */
    const newfunc make = (newfunc)PyType_GetSlot(&PyTuple_Type, Py_tp_new);
    PyObject *echo = make((PyTypeObject *)type, arguments, NULL);
    Py_DECREF(arguments);
    return echo;
}

static PyObject *expect(PyObject *self, PyObject *given_bands, PyObject *given_level,
                        const double window[ECHO_LAGS][ECHO_COLUMNS])
{
    double bands[ECHO_BANDS], level, expected[ECHO_BANDS], expected_level;
    if (read_bands(bands, given_bands, "bands") < 0 || read_number(&level, given_level) < 0)
        return NULL;
    EchoGuard *object = (EchoGuard *)self;
    switch (echo_guard_expect(&object->guard, bands, level, window, expected, &expected_level)) {
    case ECHO_POWERS:
        return make_echo(object->echo, expected, expected_level);
    case ECHO_LEVEL:
        return make_echo(object->echo, NULL, expected_level);
    case ECHO_NONE:
        break;
    }
    Py_RETURN_NONE;
}

/* EchoGuard. */

static void frame_dealloc(PyObject *);

static PyObject *guard_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"margin", NULL};
    double margin;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "d:EchoGuard", names, &margin))
        return NULL;
    const allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    EchoGuard *self = (EchoGuard *)allocate(type, 0);
    if (self == NULL)
        return NULL;
    echo_guard_init(&self->guard, margin);
    PyObject *home = PyImport_ImportModule("fishjam_agents.audio.echo");
    self->echo = home == NULL ? NULL : PyObject_GetAttrString(home, "Echo");
    Py_XDECREF(home);
    if (self->echo != NULL && !(PyType_Check(self->echo) &&
                                PyType_IsSubtype((PyTypeObject *)self->echo, &PyTuple_Type))) {
        PyErr_SetString(PyExc_TypeError, "fishjam_agents.audio.echo.Echo must be a named tuple");
        Py_CLEAR(self->echo);
    }
    PyObject *module = self->echo == NULL ? NULL : PyType_GetModule(type);
    self->frame = module == NULL ? NULL : PyObject_GetAttrString(module, "GuardedFrame");
    if (self->frame != NULL && (!PyType_Check(self->frame) ||
                                PyType_GetSlot((PyTypeObject *)self->frame, Py_tp_dealloc) != (void *)frame_dealloc)) {
        PyErr_SetString(PyExc_TypeError, "GuardedFrame was replaced");
        Py_CLEAR(self->frame);
    }
    if (self->frame == NULL) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static void guard_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    Py_XDECREF(((EchoGuard *)self)->echo);
    Py_XDECREF(((EchoGuard *)self)->frame);
    const freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

static PyObject *guard_take_skip(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
    if (count > 1) {
        wrong_count("take_skip", "at most 1 argument", count);
        return NULL;
    }
    const int suspected = count ? PyObject_IsTrue(arguments[0]) : 0;
    return suspected < 0 ? NULL : PyBool_FromLong(echo_guard_take_skip(&((EchoGuard *)self)->guard, suspected));
}

static PyObject *guard_suspect(PyObject *self, PyObject *Py_UNUSED(nothing))
{
    echo_guard_suspect(&((EchoGuard *)self)->guard);
    Py_RETURN_NONE;
}

static PyObject *guard_learn(PyObject *self, PyObject *match)
{
    double gain[ECHO_BANDS], delay = 0.0;
    PyObject *given = PyObject_GetAttrString(match, "delay");
    bool failed = given == NULL || read_number(&delay, given) < 0;
    Py_XDECREF(given);
    if (failed)
        return NULL;
    if (!isfinite(delay)) {
        PyErr_SetString(PyExc_ValueError, "the delay of an echo must be a finite number of seconds");
        return NULL;
    }
    given = PyObject_GetAttrString(match, "gain");
    failed = given == NULL || read_bands(gain, given, "gain") < 0;
    Py_XDECREF(given);
    if (failed)
        return NULL;
    echo_guard_learn(&((EchoGuard *)self)->guard, delay, gain);
    Py_RETURN_NONE;
}

static PyObject *guard_expect(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
    Py_buffer view;
    if (count != 3) {
        wrong_count("expect", "bands, level and window", count);
        return NULL;
    }
    if (view_window(&view, arguments[2]) < 0)
        return NULL;
    PyObject *echo = expect(self, arguments[0], arguments[1], (const double(*)[ECHO_COLUMNS])view.buf);
    PyBuffer_Release(&view);
    return echo;
}

static PyObject *guard_frame(PyObject *self, PyObject *window)
{
    Py_buffer view;
    if (view_window(&view, window) < 0)
        return NULL;
    PyTypeObject *type = (PyTypeObject *)((EchoGuard *)self)->frame;
    const allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    GuardedFrame *frame = (GuardedFrame *)allocate(type, 0);
    if (frame != NULL) {
        memcpy(frame->window, view.buf, sizeof frame->window);
        Py_INCREF(self);
        frame->guard = self;
    }
    PyBuffer_Release(&view);
    return (PyObject *)frame;
}

static PyObject *guard_delay(PyObject *self, void *Py_UNUSED(closure))
{
    const int delay = ((EchoGuard *)self)->guard.delay;
    if (delay == ECHO_NO_DELAY)
        Py_RETURN_NONE;
    return PyLong_FromLong(delay);
}

static PyObject *guard_gain(PyObject *self, void *Py_UNUSED(closure))
{
    const double *gain = ((EchoGuard *)self)->guard.gain;
    return Py_BuildValue("[ddddd]", gain[0], gain[1], gain[2], gain[3], gain[4]);
}

static PyObject *guard_untold(PyObject *self, void *Py_UNUSED(closure))
{
    return PyLong_FromLongLong(echo_guard_untold(&((EchoGuard *)self)->guard));
}

static PyMethodDef guard_methods[] = {
    {"take_skip", (PyCFunction)(void (*)(void))guard_take_skip, METH_FASTCALL,
     "take_skip(suspected=False)\n\nAs `audio.echo.EchoGuard.take_skip`."},
    {"suspect", guard_suspect, METH_NOARGS, "As `audio.echo.EchoGuard.suspect`."},
    {"learn", guard_learn, METH_O, "learn(match)\n\nAs `audio.echo.EchoGuard.learn`."},
    {"expect", (PyCFunction)(void (*)(void))guard_expect, METH_FASTCALL,
     "expect(bands, level, window)\n\nAs `audio.echo.EchoGuard.expect`."},
    {"frame", guard_frame, METH_O, "frame(window)\n\nAs `audio.echo.EchoGuard.frame`."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef guard_frametributes[] = {
    {"delay", guard_delay, NULL, "Frames by which the echo follows the voice; None while unknown.", NULL},
    {"gain", guard_gain, NULL, "How much louder than the voice it is in each band, dB.", NULL},
    {"untold", guard_untold, NULL, "Frames of the bot's voice that told nothing yet.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot guard_slots[] = {
    {Py_tp_doc, "EchoGuard(margin)\n--\n\nThe compiled twin of `fishjam_agents.audio.echo.EchoGuard`."},
    {Py_tp_new, (void *)guard_new},
    {Py_tp_dealloc, (void *)guard_dealloc},
    {Py_tp_methods, guard_methods},
    {Py_tp_getset, guard_frametributes},
    {0, NULL},
};

static PyType_Spec guard_spec = {
    .name = "fishjam_agents.audio._native.EchoGuard",
    .basicsize = sizeof(EchoGuard),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = guard_slots,
};

/* GuardedFrame. */

static void frame_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    Py_XDECREF(((GuardedFrame *)self)->guard);
    const freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

static PyObject *frame_expect(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
    if (count != 2) {
        wrong_count("expect", "bands and level", count);
        return NULL;
    }
    GuardedFrame *frame = (GuardedFrame *)self;
    return expect(frame->guard, arguments[0], arguments[1], (const double(*)[ECHO_COLUMNS])frame->window);
}

static PyMethodDef frame_methods[] = {
    {"expect", (PyCFunction)(void (*)(void))frame_expect, METH_FASTCALL,
     "expect(bands, level)\n\nAs `audio.echo.GuardedFrame.expect`."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot frame_slots[] = {
    {Py_tp_doc, "The compiled twin of `fishjam_agents.audio.echo.GuardedFrame`: `EchoGuard.frame` makes it."},
    {Py_tp_dealloc, (void *)frame_dealloc},
    {Py_tp_methods, frame_methods},
    {0, NULL},
};

static PyType_Spec frame_spec = {
    .name = "fishjam_agents.audio._native.GuardedFrame",
    .basicsize = sizeof(GuardedFrame),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = frame_slots,
};

int add_echo_guard(PyObject *module)
{
    PyObject *guard = PyType_FromModuleAndSpec(module, &guard_spec, NULL);
    PyObject *frame = guard == NULL ? NULL : PyType_FromModuleAndSpec(module, &frame_spec, NULL);
    const bool failed = frame == NULL || PyModule_AddType(module, (PyTypeObject *)guard) < 0 ||
                        PyModule_AddType(module, (PyTypeObject *)frame) < 0;
    Py_XDECREF(guard);
    Py_XDECREF(frame);
    return failed ? -1 : 0;
}
