/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside data/video*: how ffmpeg and ffprobe are started. The file is descriptor
 * DOR_VIDEO_FILE of the child. */
#ifndef DOR_DATA_VIDEO_CHILD_H
#define DOR_DATA_VIDEO_CHILD_H

#include "base/child.h"
#include "data/video.h"

enum { DOR_VIDEO_FILE = 3, DOR_VIDEO_TIMES = 4 };
#define DOR_VIDEO_NAME "file:/dev/fd/3" /* argv must name the file, and a name of ours is never a protocol or an option */
#define DOR_VIDEO_WAIT_S 60.0

/* What both programs are told about an input: only this file, only these containers. */
#define DOR_VIDEO_INPUT "-protocol_whitelist", "file", "-format_whitelist", "mov,matroska,avi", "-i", DOR_VIDEO_NAME

/* Start argv with the descriptors of `plan` (its argv, env and noise are set here). errors as dor_child_start */
DOR_MUST dor_status dor_video_start(dor_child *c, const char *const argv[], dor_child_plan *plan);
/* A regular file that is not empty. errors NOTFOUND, DATA, IO */
DOR_MUST dor_status dor_video_file(const char *path, int *fd);
/* dor_video_probe on an open file; `path` is for messages. */
DOR_MUST dor_status dor_video_probe_file(const char *path, int fd, dor_video_info *out);
/* What a child said, less the name that it knows the file by. */
const char *dor_video_said(const char *said);

#endif
