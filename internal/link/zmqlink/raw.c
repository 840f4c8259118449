#include "raw.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

struct batch *raw_new(void) {
	struct batch *b = calloc(1, sizeof *b);
	if (b != NULL)
		zmq_msg_init(&b->msg);
	return b;
}

void raw_free(struct batch *b) {
	if (b == NULL)
		return;
	zmq_msg_close(&b->msg);
	free(b);
}

void raw_receive(void *socket, struct batch *b, uint8_t *to, size_t room, uint64_t *lengths, int frames_max, int messages_max) {
	b->messages = b->frames = b->error = 0;
	b->bytes = b->need = 0;
	while (b->messages < messages_max && b->frames < frames_max) {
		if (!b->held) {
			if (zmq_msg_recv(&b->msg, socket, ZMQ_DONTWAIT) < 0) {
				if (errno == EINTR)
					continue;
				b->error = errno;
				if (b->error == EFSM) { // found out before any news was looked at
					int events;
					size_t n = sizeof events;
					zmq_getsockopt(socket, ZMQ_EVENTS, &events, &n);
				}
				return;
			}
			b->held = 1;
		}
		size_t size = zmq_msg_size(&b->msg);
		if (size >= LARGE || size > room - b->bytes) {
			b->need = size;
			return;
		}
		memcpy(to + b->bytes, zmq_msg_data(&b->msg), size);
		b->bytes += size;
		b->held = 0;
		int more = zmq_msg_more(&b->msg);
		lengths[b->frames++] = (uint64_t)size << 1 | (uint64_t)more;
		b->messages += !more;
	}
}

int raw_take(struct batch *b, uint8_t *to) {
	memcpy(to, zmq_msg_data(&b->msg), zmq_msg_size(&b->msg));
	b->held = 0;
	return zmq_msg_more(&b->msg);
}

int raw_send_frame(void *socket, const uint8_t *from, size_t length, int more) {
	for (;;) {
		if (zmq_send(socket, from, length, ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0)) >= 0)
			return 0;
		if (errno != EINTR)
			return errno;
	}
}

struct returned *returned_new(void) { return calloc(1, sizeof(struct returned)); }

void returned_free(struct returned *r) { free(r); }

struct loan *returned_take(struct returned *r) { return __atomic_exchange_n(&r->first, NULL, __ATOMIC_ACQUIRE); }

struct loan *loan_new(struct returned *to) {
	struct loan *l = calloc(1, sizeof *l);
	if (l != NULL)
		l->to = to;
	return l;
}

void loan_free(struct loan *l) { free(l); }

// Called by libzmq's threads. Only the head is contended, and it is taken whole.
static void loan_return(void *data, void *hint) {
	(void)data;
	struct loan *l = hint;
	struct returned *r = l->to;
	struct loan *first = __atomic_load_n(&r->first, __ATOMIC_RELAXED);
	do
		l->next = first;
	while (!__atomic_compare_exchange_n(&r->first, &first, l, 0, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
}

int raw_send_loan(void *socket, uint8_t *from, size_t length, int more, struct loan *l) {
	zmq_msg_t msg;
	if (zmq_msg_init_data(&msg, from, length, loan_return, l) != 0) {
		loan_return(NULL, l);
		return errno;
	}
	for (;;) {
		if (zmq_msg_send(&msg, socket, ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0)) >= 0)
			return 0;
		if (errno == EINTR)
			continue;
		int error = errno;
		zmq_msg_close(&msg);
		return error;
	}
}

int raw_send(void *socket, const uint8_t *from, const uint64_t *lengths, int frames, int ordered, struct failure *failures) {
	// What a connection that ended in the middle of a message has not taken is
	// dropped by libzmq, but it must see where the next one starts: abandoning.
	enum { SENDING, SKIPPING, ABANDONING } state = SENDING;
	int failed = 0, message = 0, frame = 0;
	for (int i = 0; i < frames; i++) {
		size_t length = (size_t)(lengths[i] >> 1);
		int more = (int)(lengths[i] & 1);
		int error = state == SKIPPING ? 0 : raw_send_frame(socket, from, length, more);
		if (error != 0 && state == SENDING) {
			failures[failed++] = (struct failure){message, frame, error};
			state = frame == 0 ? SKIPPING : ABANDONING;
		}
		from += length;
		frame++;
		if (!more) {
			if (ordered && failed)
				break;
			message++;
			frame = 0;
			state = SENDING;
		}
	}
	return failed;
}

int raw_fd(void *socket) {
	int fd = -1;
	size_t size = sizeof fd;
	return zmq_getsockopt(socket, ZMQ_FD, &fd, &size) == 0 ? fd : -1;
}

int raw_wait(struct waited *all, int n, int timeout) {
	enum { AT_ONCE = 64 };
	struct pollfd few[AT_ONCE], *fds = few;
	int ready = 0;
	for (int i = 0; i < n; i++) {
		int events = 0;
		size_t size = sizeof events;
		all[i].ready = 0;
		if (!all[i].used)
			continue;
		if (zmq_getsockopt(all[i].socket, ZMQ_EVENTS, &events, &size) != 0)
			return -errno;
		all[i].used = 0;
		all[i].ready = (events & ZMQ_POLLIN) != 0;
		ready += all[i].ready;
	}
	if (n > AT_ONCE && (fds = malloc((size_t)n * sizeof *fds)) == NULL)
		return -ENOMEM;
	for (int i = 0; i < n; i++)
		fds[i] = (struct pollfd){.fd = all[i].fd, .events = POLLIN};
	int rc = poll(fds, (nfds_t)n, ready > 0 ? 0 : timeout);
	int error = errno;
	for (int i = 0; rc > 0 && i < n; i++)
		if (fds[i].revents != 0 && !all[i].ready) {
			all[i].ready = 1;
			ready++;
		}
	if (fds != few)
		free(fds);
	return rc < 0 && ready == 0 ? -error : ready;
}
