/* src/net/image.h - a model as one block of bytes. */
#ifndef NET_IMAGE_H
#define NET_IMAGE_H

#include "net/onnx.h"
#include "sgdist/net.h"

/* As sg_model_image_read, of the bytes of a file; `file` tells where its other files are. */
sg_status sg_image_pack(const void *bytes, size_t n, const char *file, struct sg_model_image *out);

/* 1 and both parts if the bytes are an image: the numbers, and an ONNX file whose external tensors
 * are in them. */
int sg_image_split(struct onnx_span image, struct onnx_span *numbers, struct onnx_span *rest);

/* onnx_decode of an image or of an ONNX file. */
sg_status sg_image_decode(const void *bytes, size_t n, const char *file, struct sg_region *region,
                          struct onnx_graph *out);

#endif
