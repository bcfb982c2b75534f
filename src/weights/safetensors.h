/* SPDX-License-Identifier: Apache-2.0
 *
 * safetensors files: u64 little-endian header length, a JSON header, the bytes.
 * The reader is strict and validates inside the only function that opens one:
 * header at most 16 MiB and 100,000 tensors, rank at most 8, checked products,
 * names of at most 512 bytes of printable UTF-8, every byte of the body owned
 * exactly once, no duplicate or unknown keys. Values are not looked at. */
#ifndef DOR_WEIGHTS_SAFETENSORS_H
#define DOR_WEIGHTS_SAFETENSORS_H

#include "base/str.h"
#include "weights/tensor.h"

enum { DOR_TENSOR_HEADER = 16 << 20 };

/* errors DATA "file: tensor 'a': what", IO, NOTFOUND. parse: `bytes` is borrowed and must outlive *out. */
DOR_MUST dor_status dor_tensors_read(dor_tensors *out, const char *path, size_t max_bytes);
DOR_MUST dor_status dor_tensors_parse(dor_tensors *out, const char *name, const void *bytes, size_t size);

/* The whole file appended to `out` (empty before): metadata, then tensors in the order given, header padded so that the body is
 * 64-byte aligned. errors ARG: a name the reader would refuse, a name twice, bytes that do not fit the shape */
DOR_MUST dor_status dor_tensors_encode(dor_str *out, int32_t n, const dor_tensor *at, int32_t n_meta, const dor_meta *meta);
DOR_MUST dor_status dor_tensors_write(const char *path, int32_t n, const dor_tensor *at, int32_t n_meta, const dor_meta *meta);

#endif
