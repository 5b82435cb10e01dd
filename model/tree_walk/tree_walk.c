/* Scores rows by a table of decision trees; model/tree_table.py writes it, and describes it.

A tree is walked from its root: where a row's number is above the threshold, to the second of two
neighbouring children. A leaf leads to itself, so that eight walks abreast need no branch for each:
they take three steps together, until all of them stand on leaves. Where one walk waits for memory,
the processor goes on with the others.

A row is copied first. Behind its numbers follow NaN, the number of a leaf, and then the negated
numbers. NaN is above nothing, so a missing number goes to the first child. A split that sends it to
the right has the children the other way round, and compares the negated number.

Everything that the walk relies on is checked once, when a table is loaded: children lie behind
their parent and inside the table, numbers inside the row, values inside the values. */

#define Py_LIMITED_API 0x030B0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { LANES = 8, MOST_COPIED = 1 << 22, SMALL_TABLE = 1 << 20, FEW_ROWS = 64 };
enum { IDENTITY, SIGMOID, SOFTMAX, SHARE };                    /* links */
enum { TIE_IS_SECOND = 1, CALIBRATED = 2, THRESHOLD = 4 };     /* flags */
#define CATEGORIES 0x80000000u
#define MOST_WIDTH 0x00ffffffu
#define MOST_NODES 0x10000000u
#define VECTOR 0xffffffffu
#define LARGEST 1e30

#define EACH(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)
#define ALWAYS_INLINE inline __attribute__((always_inline))
/* Some compilers make a branch of a comparison, which a processor cannot predict here. */
#define HIDE(number) __asm__("" : "+r"(number))

typedef struct {
    float threshold;    /* or the number of a set, or of a leaf the place of its value */
    uint32_t feature;   /* a number of the row, in bytes; a split on categories has a flag */
    uint32_t child;     /* in bytes; the second child is the next node; a leaf is its own child */
} Node;

typedef struct {
    char magic[8];
    unsigned char model[32];   /* SHA-256 of the ONNX model */
    uint32_t width, outputs, classes, link, flags, positive;
    uint32_t trees, nodes, values, sets, points, unused;
    double divisor, slope, offset, threshold;
} Header;

typedef struct {
    PyObject_HEAD
    PyObject *table;    /* bytes, which nobody can change after the check */
    Header head;
    const double *base, *value, *points;
    const uint32_t *roots, *targets, *sets;
    const char *nodes;
    uint32_t stride;    /* numbers of a copied row */
    int has_sets;
} Trees;

static uint32_t bits_of(float number) { uint32_t bits; memcpy(&bits, &number, 4); return bits; }

static ALWAYS_INLINE uint32_t step(const Trees *t, const float *row, uint32_t at, const int wide,
                                   const int has_sets)
{
    const Node *node = (const Node *)(t->nodes + at);
    const uint32_t place = has_sets ? node->feature & ~CATEGORIES : node->feature;
    const float x = *(const float *)((const char *)row + (size_t)place * (wide ? LANES : 1));
    uint32_t second = x > node->threshold;
    if (has_sets && node->feature & CATEGORIES) {
        const uint32_t number = x >= 0 && x < 256 ? (uint32_t)x : 256;
        second = number < 256 && (float)number == x
            && t->sets[8 * bits_of(node->threshold) + number / 32] >> number % 32 & 1;
    }
    HIDE(second);
    return node->child + (-second & (uint32_t)sizeof(Node));
}

/* Walk from eight nodes to leaves: by eight rows of which the same numbers lie next to each other,
   or all by one row. */
static ALWAYS_INLINE void walk(const Trees *t, const float *rows, uint32_t at[LANES],
                               const int wide, const int has_sets)
{
#define LOAD(k) uint32_t at##k = at[k];
#define STEP(k) at##k = step(t, rows + (wide ? k : 0), at##k, wide, has_sets);
#define LOOK(k) moving |= ((const Node *)(t->nodes + at##k))->feature ^ leaf;
#define STORE(k) at[k] = at##k;
    const uint32_t leaf = t->head.width * 4;
    uint32_t moving;
    EACH(LOAD)
    do {
        EACH(STEP) EACH(STEP) EACH(STEP)
        moving = 0;
        EACH(LOOK)
    } while (moving);
    EACH(STORE)
}

static ALWAYS_INLINE void walk_any(const Trees *t, const float *rows, uint32_t at[LANES],
                                   const int wide)
{
    if (t->has_sets) walk(t, rows, at, wide, 1);
    else walk(t, rows, at, wide, 0);
}

static inline void add(const Trees *t, uint32_t tree, uint32_t leaf, double *sums)
{
    const double *found = t->value + bits_of(((const Node *)(t->nodes + leaf))->threshold);
    const uint32_t target = t->targets[tree];
    if (target != VECTOR) sums[target] += *found;
    else for (uint32_t k = 0; k < t->head.outputs; k++) sums[k] += found[k];
}

/* Add the leaves of copied rows to their sums. */
static void add_trees(const Trees *t, const float *rows, size_t count, double *sums)
{
    const size_t stride = t->stride, outputs = t->head.outputs;
    const size_t whole = count - count % LANES;
    uint32_t at[LANES];
    for (uint32_t tree = 0; whole && tree < t->head.trees; tree++)
        for (size_t row = 0; row < whole; row += LANES) {
            for (int k = 0; k < LANES; k++) at[k] = t->roots[tree];
            walk_any(t, rows + row * stride, at, 1);
            for (int k = 0; k < LANES; k++) add(t, tree, at[k], sums + (row + k) * outputs);
        }
    /* Of fewer rows than lanes, each goes through several trees at once. */
    for (size_t row = whole; row < count; row++)
        for (uint32_t tree = 0; tree < t->head.trees; tree += LANES) {
            const uint32_t left = t->head.trees - tree;
            const uint32_t used = left < LANES ? left : LANES;
            for (uint32_t k = 0; k < LANES; k++) at[k] = t->roots[tree + (k < used ? k : 0)];
            walk_any(t, rows + row * stride, at, 0);
            for (uint32_t k = 0; k < used; k++) add(t, tree + k, at[k], sums + row * outputs);
        }
}

/* The piecewise linear function through the points, constant beyond them. */
static double interpolate(const Trees *t, double x)
{
    const double *p = t->points, *last = p + 2 * (t->head.points - 1);
    if (x <= p[0]) return p[1];
    if (x >= last[0]) return last[1];
    while (x > p[2]) p += 2;
    return p[1] + (p[3] - p[1]) * ((x - p[0]) / (p[2] - p[0]));
}

/* Return a row's class number, and write its probabilities or its value. */
static int64_t finish(const Trees *t, double *sums, float *values)
{
    const Header *h = &t->head;
    const uint32_t classes = h->classes;
    double raw = sums[0] / h->divisor, second = raw;
    if (!classes) { values[0] = (float)raw; return 0; }
    if (classes > 2) {
        uint32_t best = 0;
        double total = 0;
        for (uint32_t k = 1; k < classes; k++) if (sums[k] > sums[best]) best = k;
        const double most = sums[best];
        for (uint32_t k = 0; h->link == SOFTMAX && k < classes; k++)
            total += sums[k] = exp(sums[k] - most);
        for (uint32_t k = 0; k < classes; k++)
            values[k] = (float)(sums[k] / (h->link == SOFTMAX ? total : h->divisor));
        return best;
    }
    if (h->link == SIGMOID) second = 1 / (1 + exp(-raw));
    const int is_calibrated = h->flags & CALIBRATED || h->points;
    if (h->flags & CALIBRATED) second = 1 / (1 + exp(h->slope * raw + h->offset));
    else if (h->points) second = interpolate(t, second);
    values[0] = (float)(1 - second);
    values[1] = (float)second;
    if (h->flags & THRESHOLD) {
        const double share = h->positive ? second : 1 - second;
        return share >= h->threshold ? h->positive : 1 - h->positive;
    }
    if (h->link == SIGMOID && !is_calibrated) return h->flags & TIE_IS_SECOND ? raw >= 0 : raw > 0;
    return second > 1 - second;
}

/* Copy a row with NaN and its negated numbers. The numbers of eight rows lie next to each other,
   as far as there are eight. */
static void copy_row(const Trees *t, const float *row, float *rows, size_t at, size_t whole)
{
    const size_t width = t->head.width, step = at < whole ? LANES : 1;
    float *copy = rows + (at - at % step) * t->stride + at % step;
    for (size_t k = 0; k < width; k++) copy[k * step] = row[k];
    copy[width * step] = NAN;
    for (size_t k = width + 1; k < t->stride; k++) copy[k * step] = -row[k - width - 1];
}

static int score_rows(const Trees *t, const float *rows, size_t count, int64_t *numbers,
                      float *values)
{
    const size_t width = t->head.width, outputs = t->head.outputs, stride = t->stride;
    const size_t wide = t->head.classes ? t->head.classes : 1;
    /* A small table stays in the cache for each few rows; a large one is read once for many. */
    size_t most = FEW_ROWS;
    if (t->head.nodes * sizeof(Node) > SMALL_TABLE) {
        most = MOST_COPIED / (stride + 2 * outputs);
        if (most < LANES) most = LANES;
    }
    if (most > count) most = count;
    double *sums = malloc(most * (stride * sizeof(float) + outputs * sizeof(double)) + 1);
    if (sums == NULL) return 0;
    float *const own = (float *)(sums + most * outputs);
    for (size_t begin = 0; begin < count; begin += most) {
        const size_t now = count - begin < most ? count - begin : most;
        for (size_t row = 0; row < now; row++) {
            copy_row(t, rows + (begin + row) * width, own, row, now - now % LANES);
            memcpy(sums + row * outputs, t->base, outputs * sizeof(double));
        }
        add_trees(t, own, now, sums);
        for (size_t row = 0; row < now; row++)
            numbers[begin + row] = finish(t, sums + row * outputs, values + (begin + row) * wide);
    }
    free(sums);
    return 1;
}

/* Return what is wrong with a table, or NULL. */
static const char *check(Trees *t)
{
    const Header *h = &t->head;
    const char *place = PyBytes_AsString(t->table);
    const uint64_t length = (uint64_t)PyBytes_Size(t->table);
    if ((uintptr_t)place % 8) return "it is not aligned to 8 bytes";
    if (length < sizeof(Header)) return "it is shorter than its header";
    memcpy(&t->head, place, sizeof(Header));
    if (memcmp(h->magic, "TREES\0\0\1", 8)) return "it does not begin as one of this version";
    const uint64_t size = sizeof(Header)
        + 8 * ((uint64_t)h->outputs + h->values + 2 * (uint64_t)h->points)
        + 4 * (2 * (uint64_t)h->trees + 8 * (uint64_t)h->sets) + sizeof(Node) * (uint64_t)h->nodes;
    if (size != length) return "its size is not that of its parts";
    const uint32_t of_classes = h->classes > 2 ? h->classes : 1;
    if (!h->width || h->width > MOST_WIDTH || h->nodes > MOST_NODES || h->outputs != of_classes
        || h->classes == 1 || !h->classes != (h->link == IDENTITY) || h->link > SHARE
        || (h->link == SOFTMAX) != (h->classes > 2 && h->link != SHARE)
        || h->flags > 7 || h->positive > 1 || !h->trees || h->points == 1
        || ((h->flags & ~(uint32_t)TIE_IS_SECOND || h->points) && h->classes != 2))
        return "its header contradicts itself";
    if (!(h->divisor >= 1 && h->divisor < LARGEST) || !isfinite(h->slope) || !isfinite(h->offset)
        || !isfinite(h->threshold)) return "a number of its header is out of range";
    place += sizeof(Header);
    t->base = (const double *)place;
    t->value = t->base + h->outputs;
    t->points = t->value + h->values;
    t->roots = (const uint32_t *)(t->points + 2 * (size_t)h->points);
    t->targets = t->roots + h->trees;
    t->sets = t->targets + h->trees;
    t->nodes = (const char *)(t->sets + 8 * (size_t)h->sets);
    for (const double *v = t->base; v < t->points; v++)
        if (!(fabs(*v) < LARGEST)) return "a value is out of range";
    for (uint32_t k = 0; k < 2 * h->points; k++)
        if (!(t->points[k] >= 0 && t->points[k] <= 1)
            || (k > 1 && !(k % 2 ? t->points[k] >= t->points[k - 2]
                                 : t->points[k] > t->points[k - 2])))
            return "its calibration does not rise from 0 to 1";
    /* A leaf's value may be used by trees of any target, so it must fit the widest of them. */
    uint32_t longest = 1;
    for (uint32_t tree = 0; tree < h->trees; tree++) {
        if (t->roots[tree] % sizeof(Node) || t->roots[tree] / sizeof(Node) >= h->nodes)
            return "a root is not in it";
        if (t->targets[tree] == VECTOR) longest = h->outputs;
        else if (t->targets[tree] >= h->outputs) return "a tree adds to an output it lacks";
    }
    t->has_sets = 0;
    t->stride = h->width + 1;
    for (uint32_t k = 0; k < h->nodes; k++) {
        const Node *node = (const Node *)t->nodes + k;
        const uint32_t number = bits_of(node->threshold), child = node->child / sizeof(Node);
        const uint32_t feature = (node->feature & ~CATEGORIES) / 4;
        if (node->child % sizeof(Node)) return "a child is not at a node";
        if (node->feature == 4 * h->width) {
            if (child != k) return "a leaf has a child";
            if ((uint64_t)number + longest > h->values) return "a leaf's value is not in it";
            continue;
        }
        if (child <= k || child >= h->nodes - 1) return "a child is not behind its parent";
        if (node->feature % 4 || feature == h->width || feature > 2 * h->width)
            return "a split's number is not in a row";
        if (feature > h->width) t->stride = 2 * h->width + 1;
        if (node->feature & CATEGORIES) {
            if (number >= h->sets) return "a set of categories is not in it";
            t->has_sets = 1;
        }
    }
    return NULL;
}

static PyObject *make(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    PyObject *table;
    (void)keywords;
    if (!PyArg_ParseTuple(args, "S", &table)) return NULL;
    Trees *t = (Trees *)((allocfunc)PyType_GetSlot(type, Py_tp_alloc))(type, 0);
    if (t == NULL) return NULL;
    Py_INCREF(t->table = table);
    const char *wrong = check(t);
    if (wrong == NULL) return (PyObject *)t;
    PyErr_Format(PyExc_ValueError, "not a table of trees: %s", wrong);
    Py_DECREF(t);
    return NULL;
}

static void drop(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    Py_XDECREF(((Trees *)self)->table);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static PyObject *score(PyObject *self, PyObject *args)
{
    const Trees *t = (Trees *)self;
    Py_buffer rows, numbers, values;
    Py_ssize_t count;
    if (!PyArg_ParseTuple(args, "ny*w*w*", &count, &rows, &numbers, &values)) return NULL;
    const Py_ssize_t wide = t->head.classes ? t->head.classes : 1;
    int done = -1;
    if (count >= 0 && count <= numbers.len / 8 && count <= rows.len / 4 / (Py_ssize_t)t->head.width
        && count <= values.len / 4 / wide) {
        PyThreadState *state = count > FEW_ROWS ? PyEval_SaveThread() : NULL;
        done = score_rows(t, rows.buf, (size_t)count, numbers.buf, values.buf);
        if (state != NULL) PyEval_RestoreThread(state);
    }
    PyBuffer_Release(&rows), PyBuffer_Release(&numbers), PyBuffer_Release(&values);
    if (done < 0) PyErr_SetString(PyExc_ValueError, "the buffers are too small for so many rows");
    if (done == 0) PyErr_NoMemory();
    if (done <= 0) return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"score", score, METH_VARARGS, "score(count, rows, numbers, values)"}, {NULL, NULL, 0, NULL}};
static PyType_Slot slots[] = {
    {Py_tp_new, make}, {Py_tp_dealloc, drop}, {Py_tp_methods, methods}, {0, NULL}};
static PyType_Spec spec = {"tree_walk.Trees", sizeof(Trees), 0, Py_TPFLAGS_DEFAULT, slots};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "tree_walk", NULL, -1, NULL,
                                    NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_tree_walk(void)
{
    PyObject *made = PyModule_Create(&module), *type = PyType_FromSpec(&spec);
    if (made == NULL || type == NULL || PyModule_AddObjectRef(made, "Trees", type) < 0) return NULL;
    return made;
}
