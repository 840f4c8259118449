// The Paranoid Pirate queue of the ZeroMQ guide, chapter 4, written anew from
// its description with libzmq alone: a list of ready workers, the one that has
// waited longest first; a heartbeat each second to each ready worker; a worker
// that is silent for three seconds is forgotten. Like the guide's it takes one
// message from each socket in a turn, and clients are read only while a worker
// is ready.
#include "load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zmq.h>

enum { INTERVAL_MS = 1000, LIVENESS = 3, FRAMES = 16, WORKERS = 4096 };

struct ready {
	uint8_t id[255];
	size_t len;
	int64_t expiry;
};

static struct ready workers[WORKERS];
static int count;

static int64_t clock_ms(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void forget(int i) {
	memmove(&workers[i], &workers[i + 1], (size_t)(--count - i) * sizeof workers[0]);
}

// is_ready puts a worker at the end of the list, once.
static void is_ready(const void *id, size_t len) {
	for (int i = 0; i < count; i++)
		if (workers[i].len == len && memcmp(workers[i].id, id, len) == 0) {
			forget(i);
			break;
		}
	if (count == WORKERS || len > sizeof workers[0].id)
		return;
	memcpy(workers[count].id, id, len);
	workers[count].len = len;
	workers[count++].expiry = clock_ms() + INTERVAL_MS * LIVENESS;
}

static int receive(void *s, zmq_msg_t *frames) {
	int n = 0;
	do {
		zmq_msg_init(&frames[n]);
		if (zmq_msg_recv(&frames[n], s, 0) < 0)
			return n;
		n++;
	} while (zmq_msg_more(&frames[n - 1]) && n < FRAMES);
	return n;
}

static void send_from(void *s, zmq_msg_t *frames, int from, int n) {
	for (int i = from; i < n; i++)
		zmq_msg_send(&frames[i], s, i + 1 < n ? ZMQ_SNDMORE : 0);
}

static void close_frames(zmq_msg_t *frames, int n) {
	for (int i = 0; i < n; i++)
		zmq_msg_close(&frames[i]);
}

int run_guide_queue(const char *frontend, const char *backend, char error[200]) {
	void *context = zmq_ctx_new();
	void *front = zmq_socket(context, ZMQ_ROUTER), *back = zmq_socket(context, ZMQ_ROUTER);
	if (zmq_bind(front, frontend) != 0 || zmq_bind(back, backend) != 0) {
		snprintf(error, 200, "bind: %s", zmq_strerror(errno));
		return -1;
	}
	int64_t beat_at = clock_ms() + INTERVAL_MS;
	zmq_msg_t frames[FRAMES];
	for (;;) {
		zmq_pollitem_t items[] = {{back, 0, ZMQ_POLLIN, 0}, {front, 0, ZMQ_POLLIN, 0}};
		if (zmq_poll(items, count > 0 ? 2 : 1, INTERVAL_MS) < 0)
			break;
		if (items[0].revents & ZMQ_POLLIN) {
			int n = receive(back, frames);
			is_ready(zmq_msg_data(&frames[0]), zmq_msg_size(&frames[0]));
			if (n > 2)
				send_from(front, frames, 1, n);
			close_frames(frames, n);
		}
		if (items[1].revents & ZMQ_POLLIN) {
			int n = receive(front, frames);
			zmq_send(back, workers[0].id, workers[0].len, ZMQ_SNDMORE);
			forget(0);
			send_from(back, frames, 0, n);
			close_frames(frames, n);
		}
		if (clock_ms() >= beat_at) {
			for (int i = 0; i < count; i++) {
				zmq_send(back, workers[i].id, workers[i].len, ZMQ_SNDMORE);
				zmq_send(back, "\002", 1, 0);
			}
			beat_at = clock_ms() + INTERVAL_MS;
		}
		while (count > 0 && clock_ms() >= workers[0].expiry)
			forget(0);
	}
	snprintf(error, 200, "poll: %s", zmq_strerror(errno));
	return -1;
}
