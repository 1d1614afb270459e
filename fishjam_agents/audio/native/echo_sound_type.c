/* The type `LevelMeter` and the function `likeness`: `levels.h` and `likeness.h` for Python. */

#include "native.h"

#include "levels.h"
#include "likeness.h"

#include <string.h>

/* Look at numbers where they lie, one after the other; the view is to be released. */
static int view_numbers(Py_buffer *view, PyObject *given, const char *name, const char *format, int dimensions,
                        bool to_write)
{
    const char *kind = strcmp(format, "h") == 0 ? "int16" : "float64";
    if (!PyObject_CheckBuffer(given)) {
        PyErr_Format(PyExc_TypeError, "%s must be an array of %s", name, kind);
        return -1;
    }
    if (PyObject_GetBuffer(given, view, to_write ? PyBUF_RECORDS : PyBUF_RECORDS_RO) < 0)
        return -1;
    if (view->format == NULL || strcmp(view->format, format) != 0) {
        PyErr_Format(PyExc_TypeError, "%s must be an array of %s, not one of \"%s\"", name, kind,
                     view->format == NULL ? "B" : view->format);
    } else if (view->ndim != dimensions) {
        PyErr_Format(PyExc_ValueError, "%s must have %d dimensions, not %d", name, dimensions, view->ndim);
    } else if (!PyBuffer_IsContiguous(view, 'C')) {
        PyErr_Format(PyExc_ValueError, "%s must be contiguous", name);
    } else {
        return 0;
    }
    PyBuffer_Release(view);
    return -1;
}

/* likeness */

static PyObject *take_likeness(PyObject *Py_UNUSED(module), PyObject *const *arguments, Py_ssize_t count)
{
    static const char *const names[] = {"sound", "voice", "alike"};
    Py_buffer views[3];
    if (count != 3) {
        PyErr_Format(PyExc_TypeError, "likeness takes sound, voice and alike, %zd given", count);
        return NULL;
    }
    int viewed = 0;
    while (viewed < 3 && view_numbers(&views[viewed], arguments[viewed], names[viewed], "d", 1, viewed == 2) == 0)
        viewed++;
    PyObject *result = NULL;
    if (viewed == 3) {
        const Py_ssize_t length = views[0].shape[0], voice_length = views[1].shape[0];
        if (length < 2 || voice_length < length || voice_length > LIKENESS_LONGEST)
            PyErr_Format(PyExc_ValueError, "voice must be as long as sound, of 2 samples or more, up to %d",
                         LIKENESS_LONGEST);
        else if (views[2].shape[0] != voice_length - length + 1)
            PyErr_Format(PyExc_ValueError, "alike must have %zd numbers, one for each stretch of voice",
                         voice_length - length + 1);
        else if (likeness(views[0].buf, (int)length, views[1].buf, (int)voice_length, views[2].buf) < 0)
            PyErr_NoMemory();
        else
            result = Py_NewRef(Py_None);
    }
    while (viewed-- > 0)
        PyBuffer_Release(&views[viewed]);
    return result;
}

static PyMethodDef functions[] = {
    {"likeness", (PyCFunction)(void (*)(void))take_likeness, METH_FASTCALL,
     "likeness(sound, voice, alike)\n\nAs `audio.echo_match.likeness`, which returns `alike`."},
    {NULL, NULL, 0, NULL},
};

/* LevelMeter */

typedef struct {
    PyObject_HEAD
    struct level_meter meter;
} LevelMeter;

static PyObject *meter_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static char *names[] = {"size", NULL};
    int size;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "i:LevelMeter", names, &size))
        return NULL;
    const allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    LevelMeter *self = (LevelMeter *)allocate(type, 0);
    if (self != NULL && !level_meter_init(&self->meter, size)) {
        Py_DECREF(self);
        PyErr_Format(PyExc_ValueError, "%d samples cannot be transformed", size);
        return NULL;
    }
    return (PyObject *)self;
}

static void meter_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    const freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

static PyObject *meter_skip(PyObject *self, PyObject *given)
{
    Py_buffer samples;
    if (view_numbers(&samples, given, "samples", "h", 1, false) < 0)
        return NULL;
    level_meter_skip(&((LevelMeter *)self)->meter, samples.buf, samples.shape[0]);
    PyBuffer_Release(&samples);
    Py_RETURN_NONE;
}

static PyObject *meter_powers(PyObject *self, PyObject *given)
{
    const struct level_meter *meter = &((LevelMeter *)self)->meter;
    double powers[LEVEL_BANDS];
    Py_buffer samples;
    if (view_numbers(&samples, given, "samples", "h", 1, false) < 0)
        return NULL;
    const bool fits = samples.shape[0] == meter->size;
    if (fits)
        level_meter_powers(meter, samples.buf, powers);
    PyBuffer_Release(&samples);
    if (!fits)
        return PyErr_Format(PyExc_ValueError, "samples must be %d", meter->size);
    return Py_BuildValue("[ddddd]", powers[0], powers[1], powers[2], powers[3], powers[4]);
}

/* Take a chunk of it, and fill in the levels at its end. */
static int measure_chunk(LevelMeter *self, PyObject *chunk, double row[LEVEL_COLUMNS])
{
    Py_buffer samples;
    if (chunk == NULL || view_numbers(&samples, chunk, "a chunk", "h", 1, false) < 0)
        return -1;
    level_meter_measure(&self->meter, samples.buf, samples.shape[0], row);
    PyBuffer_Release(&samples);
    return 0;
}

static PyObject *meter_measure(PyObject *self, PyObject *const *arguments, Py_ssize_t count)
{
    Py_buffer rows;
    if (count != 2) {
        PyErr_Format(PyExc_TypeError, "measure takes chunks and rows, %zd given", count);
        return NULL;
    }
    const Py_ssize_t chunks = PySequence_Size(arguments[0]);
    if (chunks < 0 || view_numbers(&rows, arguments[1], "rows", "d", 2, true) < 0)
        return NULL;
    bool failed = rows.shape[0] != chunks || rows.shape[1] != LEVEL_COLUMNS;
    if (failed)
        PyErr_Format(PyExc_ValueError, "rows must have the shape (%zd, %d)", chunks, LEVEL_COLUMNS);
    for (Py_ssize_t at = 0; at < chunks && !failed; at++) {
        PyObject *chunk = PySequence_GetItem(arguments[0], at);
        failed = measure_chunk((LevelMeter *)self, chunk, (double *)rows.buf + LEVEL_COLUMNS * at) < 0;
        Py_XDECREF(chunk);
    }
    PyBuffer_Release(&rows);
    return failed ? NULL : Py_NewRef(Py_None);
}

static PyMethodDef meter_methods[] = {
    {"powers", meter_powers, METH_O, "powers(samples)\n\nAs `audio.echo_reference.LevelMeter.powers`."},
    {"skip", meter_skip, METH_O, "skip(samples)\n\nAs `audio.echo_reference.LevelMeter.skip`."},
    {"measure", (PyCFunction)(void (*)(void))meter_measure, METH_FASTCALL,
     "measure(chunks, rows)\n\nAs `audio.echo_reference.LevelMeter.measure`."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot meter_slots[] = {
    {Py_tp_doc, "LevelMeter(size)\n--\n\nThe compiled twin of `fishjam_agents.audio.echo_reference.LevelMeter`."},
    {Py_tp_new, (void *)meter_new},
    {Py_tp_dealloc, (void *)meter_dealloc},
    {Py_tp_methods, meter_methods},
    {0, NULL},
};

static PyType_Spec meter_spec = {
    .name = "fishjam_agents.audio._native.LevelMeter",
    .basicsize = sizeof(LevelMeter),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = meter_slots,
};

int add_echo_sound(PyObject *module)
{
    PyObject *meter = PyType_FromModuleAndSpec(module, &meter_spec, NULL);
    const bool failed = meter == NULL || PyModule_AddType(module, (PyTypeObject *)meter) < 0 ||
                        PyModule_AddFunctions(module, functions) < 0 ||
                        PyModule_AddIntConstant(module, "LIKENESS_LONGEST", LIKENESS_LONGEST) < 0;
    Py_XDECREF(meter);
    return failed ? -1 : 0;
}
