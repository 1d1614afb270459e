/* The detector as a Python type. Its constructor is told what it makes decisions of, and how to make a
   webrtcvad: nothing of Python is imported here. */

#include "native.h"

#include <structmember.h>

#include <string.h>

#include "detector.h"

#define SAMPLE_RATE 16000

typedef struct {
    PyObject_HEAD
    PyObject *decision;    /* The class of decisions, a named tuple. */
    PyObject *make_webrtc; /* Makes what says of 20 ms whether they are speech. */
    PyObject *is_speech;   /* What it made. */
    PyObject *echo;
    double start;
    struct detector detector;
} Detector;

static newfunc make_tuple;

static int restart(Detector *self)
{
    PyObject *is_speech = PyObject_CallFunctionObjArgs(self->make_webrtc, NULL);
    if (is_speech == NULL)
        return -1;
    PyObject *before = self->is_speech, *echo = self->echo;
    self->is_speech = is_speech;
    self->echo = NULL;
    detector_restart(&self->detector);
    Py_XDECREF(before);
    Py_XDECREF(echo);
    return 0;
}

static PyObject *detector_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"bias", "start", "decision", "make_webrtc", NULL};
    double bias, start;
    PyObject *decision, *make_webrtc;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "ddOO:Detector", names, &bias, &start, &decision, &make_webrtc))
        return NULL;
    if (!PyType_Check(decision) || !PyType_IsSubtype((PyTypeObject *)decision, &PyTuple_Type)) {
        PyErr_SetString(PyExc_TypeError, "decision must be a class of named tuples");
        return NULL;
    }
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    Detector *self = (Detector *)allocate(type, 0);
    if (self == NULL)
        return NULL;
    self->decision = Py_NewRef(decision);
    self->make_webrtc = Py_NewRef(make_webrtc);
    self->start = start;
    self->detector.bias = bias;
    if (restart(self) < 0) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static int detector_traverse(Detector *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE((PyObject *)self));
    Py_VISIT(self->decision);
    Py_VISIT(self->make_webrtc);
    Py_VISIT(self->is_speech);
    Py_VISIT(self->echo);
    return 0;
}

static int detector_clear(Detector *self)
{
    Py_CLEAR(self->decision);
    Py_CLEAR(self->make_webrtc);
    Py_CLEAR(self->is_speech);
    Py_CLEAR(self->echo);
    return 0;
}

static void detector_dealloc(Detector *self)
{
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    PyObject_GC_UnTrack(self);
    detector_clear(self);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

/* Copy a frame; returns -1 with an error set where it is none. */
static int read_frame(PyObject *frame, int16_t samples[FRAME_SAMPLES])
{
    Py_buffer view;
    if (PyObject_GetBuffer(frame, &view, PyBUF_ND | PyBUF_FORMAT) < 0)
        return -1;
    const int fits = view.ndim == 1 && view.len == FRAME_SAMPLES * 2 && view.itemsize == 2 && view.format != NULL
                     && strcmp(view.format, "h") == 0;
    if (fits)
        memcpy(samples, view.buf, FRAME_SAMPLES * sizeof *samples);
    PyBuffer_Release(&view);
    if (!fits) {
        PyErr_SetString(PyExc_ValueError, "a frame must be int16 of shape (320,): 20 ms of mono at 16 kHz");
        return -1;
    }
    return 0;
}

/* Whether webrtcvad takes a frame for speech; -1 with an error set where it raised. */
static int ask_webrtc(Detector *self, const int16_t samples[FRAME_SAMPLES])
{
    PyObject *is_speech = Py_NewRef(self->is_speech);
    PyObject *data = PyBytes_FromStringAndSize((const char *)samples, FRAME_SAMPLES * sizeof *samples);
    PyObject *rate = PyLong_FromLong(SAMPLE_RATE), *length = PyLong_FromLong(FRAME_SAMPLES);
    PyObject *answer = NULL;
    if (data != NULL && rate != NULL && length != NULL)
        answer = PyObject_CallFunctionObjArgs(is_speech, data, rate, length, NULL);
    Py_XDECREF(length);
    Py_XDECREF(rate);
    Py_XDECREF(data);
    Py_DECREF(is_speech);
    if (answer == NULL)
        return -1;
    const int truth = PyObject_IsTrue(answer);
    Py_DECREF(answer);
    return truth;
}

/* Powers as numbers; -1 with an error set where they are none, or not as many as there are bands. */
static int read_bands(PyObject *sequence, struct expected_echo *echo)
{
    const Py_ssize_t count = PySequence_Size(sequence);
    if (count < 0)
        return -1;
    echo->has_bands = count > 0;
    if (count != 0 && count != BANDS) {
        PyErr_Format(PyExc_ValueError, "an echo has a power for each of %d bands, or none, not %zd", BANDS, count);
        return -1;
    }
    for (Py_ssize_t band = 0; band < count; band++) {
        PyObject *power = PySequence_GetItem(sequence, band);
        if (power == NULL)
            return -1;
        echo->bands[band] = PyFloat_AsDouble(power);
        Py_DECREF(power);
        if (echo->bands[band] == -1.0 && PyErr_Occurred())
            return -1;
    }
    return 0;
}

static int read_echo(PyObject *expected, struct expected_echo *echo)
{
    PyObject *bands = PySequence_GetItem(expected, 0), *level = NULL;
    int result = -1;
    if (bands != NULL && read_bands(bands, echo) == 0 && (level = PySequence_GetItem(expected, 1)) != NULL) {
        echo->level = PyFloat_AsDouble(level);
        result = echo->level == -1.0 && PyErr_Occurred() ? -1 : 0;
    }
    Py_XDECREF(level);
    Py_XDECREF(bands);
    return result;
}

/* The echo that `playing` expects, an `Echo` or None; NULL with an error set where it raised. */
static PyObject *ask_echo(PyObject *playing, const struct spectrum *spectrum)
{
    PyObject *bands = PyList_New(BANDS);
    if (bands == NULL)
        return NULL;
    for (int band = 0; band < BANDS; band++) {
        PyObject *power = PyFloat_FromDouble(spectrum->bands[band]);
        if (power == NULL || PyList_SetItem(bands, band, power) < 0) {
            Py_DECREF(bands);
            return NULL;
        }
    }
    PyObject *expected = PyObject_CallMethod(playing, "expect", "Od", bands, spectrum->level);
    Py_DECREF(bands);
    return expected;
}

static PyObject *make_decision(PyObject *type, const struct decision *decision)
{
    PyObject *values = Py_BuildValue("((dNNddd))", decision->score, PyBool_FromLong(decision->voiced),
                                     PyBool_FromLong(decision->tail), decision->level, decision->noise, decision->snr);
    if (values == NULL)
        return NULL;
    PyObject *made = make_tuple((PyTypeObject *)type, values, NULL);
    Py_DECREF(values);
    return made;
}

/* Sort what `feed` was called with: frame, in_speech, accumulating, playing. */
static int sort_arguments(PyObject *const *args, Py_ssize_t count, PyObject *keywords, PyObject *sorted[4])
{
    static const char *const names[] = {"frame", "in_speech", "accumulating", "playing"};
    const Py_ssize_t named = keywords == NULL ? 0 : PyTuple_Size(keywords);
    if (count + named > 4) {
        PyErr_Format(PyExc_TypeError, "feed() takes at most 4 arguments (%zd given)", count + named);
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++)
        sorted[i] = args[i];
    for (Py_ssize_t i = 0; i < named; i++) {
        PyObject *name = PyTuple_GetItem(keywords, i);
        int place = 0;
        while (place < 4 && PyUnicode_CompareWithASCIIString(name, names[place]) != 0)
            place++;
        if (place == 4 || sorted[place] != NULL) {
            PyErr_Format(PyExc_TypeError, place == 4 ? "feed() has no argument '%U'" : "feed() has two values of '%U'", name);
            return -1;
        }
        sorted[place] = args[count + i];
    }
    for (int i = 0; i < 2; i++)
        if (sorted[i] == NULL) {
            PyErr_Format(PyExc_TypeError, "feed() needs the argument '%s'", names[i]);
            return -1;
        }
    return 0;
}

static PyObject *feed(Detector *self, PyObject *const *args, Py_ssize_t count, PyObject *keywords)
{
    PyObject *given[4] = {NULL};
    if (sort_arguments(args, count, keywords, given) < 0)
        return NULL;
    PyObject *playing = given[3];
    const int in_speech = PyObject_IsTrue(given[1]);
    const int accumulating = given[2] == NULL ? 1 : PyObject_IsTrue(given[2]);
    int16_t frame[FRAME_SAMPLES];
    if (in_speech < 0 || accumulating < 0 || read_frame(given[0], frame) < 0)
        return NULL;
    struct sound sound;
    detector_take(&self->detector, &sound, frame, in_speech);
    const int webrtc = ask_webrtc(self, frame);
    if (webrtc < 0)
        return NULL;
    struct expected_echo echo;
    PyObject *expected = NULL;
    if (playing != NULL && playing != Py_None) {
        expected = ask_echo(playing, &sound.spectrum);
        if (expected == Py_None)
            Py_CLEAR(expected);
        else if (expected == NULL || read_echo(expected, &echo) < 0) {
            Py_XDECREF(expected);
            return NULL;
        }
    }
    PyObject *before = self->echo;
    self->echo = expected;
    Py_XDECREF(before);
    const struct decision decision =
        detector_decide(&self->detector, &sound, webrtc, accumulating, expected == NULL ? NULL : &echo);
    return make_decision(self->decision, &decision);
}

static PyObject *restart_method(Detector *self, PyObject *Py_UNUSED(none))
{
    if (restart(self) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"feed", (PyCFunction)(void (*)(void))feed, METH_FASTCALL | METH_KEYWORDS,
     "feed(frame, in_speech, accumulating=True, playing=None)\n--\n\nScore the next frame (`vad.Detector.feed`)."},
    {"restart", (PyCFunction)restart_method, METH_NOARGS,
     "restart()\n--\n\nForget the noise and who spoke (`vad.Detector.restart`)."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef members[] = {
    {"start", T_DOUBLE, offsetof(Detector, start), 0, "Sum of scores at which the turn machine suspects speech."},
    {"echo", T_OBJECT, offsetof(Detector, echo), 0, "The echo expected in the last frame; None while none is."},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_doc, "Detector(bias, start, decision, make_webrtc)\n--\n\nThe compiled twin of `vad.Detector`."},
    {Py_tp_new, detector_new},
    {Py_tp_dealloc, detector_dealloc},
    {Py_tp_traverse, detector_traverse},
    {Py_tp_clear, detector_clear},
    {Py_tp_methods, methods},
    {Py_tp_members, members},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "fishjam_agents.audio._native.Detector",
    .basicsize = sizeof(Detector),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = slots,
};

int add_detector(PyObject *module)
{
    spectrum_prepare();
    make_tuple = (newfunc)PyType_GetSlot(&PyTuple_Type, Py_tp_new);
    PyObject *type = PyType_FromModuleAndSpec(module, &spec, NULL);
    if (type == NULL)
        return -1;
    const int result = PyModule_AddObjectRef(module, "Detector", type);
    Py_DECREF(type);
    return result;
}
