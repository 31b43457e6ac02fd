/* src/net/ops/compare.c - ONNX Equal to Xor: tests, which give 1 or 0 and have the derivative 0. */
#include "net/ops/pairs.h"

WHOLE(equal, a == b)
WHOLE(greater, a > b)
WHOLE(less, a < b)
WHOLE(greater_or_equal, a >= b)
WHOLE(less_or_equal, a <= b)
WHOLE(and, a != 0 && b != 0)
WHOLE(or, a != 0 || b != 0)
WHOLE(xor, (a != 0) != (b != 0))

#define TEST(op_name, file_name, since, f)                                                         \
    PAIR(op_name, file_name, since, NONE, 0, 1, whole_##file_name, (f) ? 1.0f : 0.0f, 0.0f, 0.0f)

TEST("Equal", equal, 0, a == b);
TEST("Greater", greater, 0, a > b);
TEST("Less", less, 0, a < b);
TEST("GreaterOrEqual", greater_or_equal, 12, a >= b);
TEST("LessOrEqual", less_or_equal, 12, a <= b);
TEST("And", and, 0, a != 0.0f && b != 0.0f);
TEST("Or", or, 0, a != 0.0f || b != 0.0f);
TEST("Xor", xor, 0, (a != 0.0f) != (b != 0.0f));
