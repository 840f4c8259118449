#include "load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#define HEADER 57 // bytes of PRV1's fixed header

// The offsets of docs/protocol.md, section 5.
enum { COMMAND = 4, CODE = 5, FLAGS = 6, ID = 8, NUMBER = 24, EPOCH = 28, REMAINING = 36, SENT = 40, SIDE = 44, LINK = 44, SEQ = 48, ACK = 52, SERVICE = 56 };
enum { REQUEST = 3, REPLY = 5, READY = 8, WELCOME = 9, HEARTBEAT = 10, DISCONNECT = 13 };

static uint64_t now_ns(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void put16(uint8_t *p, uint16_t v) { p[0] = v >> 8; p[1] = v; }
static void put32(uint8_t *p, uint32_t v) { put16(p, v >> 16); put16(p + 2, v); }
static void put64(uint8_t *p, uint64_t v) { put32(p, v >> 32); put32(p + 4, v); }
static uint32_t get32(const uint8_t *p) { return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]; }

static int fail(char *error, const char *what) {
	snprintf(error, 200, "%s: %s", what, zmq_strerror(errno));
	return -1;
}

static uint64_t drawn;

// draw returns numbers that are random enough to tell sockets apart.
static uint64_t draw(void) {
	if (drawn == 0)
		drawn = now_ns() ^ (uint64_t)getpid() << 32;
	drawn += 0x9e3779b97f4a7c15u;
	uint64_t z = drawn;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return (z ^ z >> 31) | 1;
}

static void *connect_socket(void *context, int kind, const char *endpoint) {
	void *s = zmq_socket(context, kind);
	if (s == NULL)
		return NULL;
	int zero = 0, one = 1;
	uint8_t id[16];
	put64(id, draw());
	put64(id + 8, draw());
	id[0] |= 1;
	zmq_setsockopt(s, ZMQ_LINGER, &zero, sizeof zero);
	zmq_setsockopt(s, ZMQ_SNDHWM, &zero, sizeof zero);
	zmq_setsockopt(s, ZMQ_RCVHWM, &zero, sizeof zero);
	zmq_setsockopt(s, ZMQ_IMMEDIATE, &one, sizeof one);
	zmq_setsockopt(s, ZMQ_ROUTING_ID, id, sizeof id);
	return zmq_connect(s, endpoint) == 0 ? s : NULL;
}

// watch adds a socket's descriptor to an epoll set, so that thousands of
// sockets cost no more than those that have something to say.
//
// The descriptor speaks only once the socket has been found to have nothing
// more: whoever waits must have received in vain before.
static int watch(int set, void *s, int index) {
	int fd;
	size_t n = sizeof fd;
	struct epoll_event e = {.events = EPOLLIN, .data = {.u32 = (uint32_t)index}};
	return zmq_getsockopt(s, ZMQ_FD, &fd, &n) == 0 && epoll_ctl(set, EPOLL_CTL_ADD, fd, &e) == 0 ? 0 : -1;
}

// look stands for a first wait, in which all sockets have something to say.
static int look(struct epoll_event *events, int *looked, int sockets) {
	int n = 0;
	for (; n < 64 && *looked < sockets; n++)
		events[n].data.u32 = (uint32_t)(*looked)++;
	return n;
}

// drop_rest takes what is left of a message.
static void drop_rest(void *s) {
	int more = 1;
	size_t n = sizeof more;
	while (zmq_getsockopt(s, ZMQ_RCVMORE, &more, &n) == 0 && more)
		zmq_recv(s, NULL, 0, 0);
}

// ---- clients

struct client {
	void *socket;
	uint64_t instance, sent;
	int open;
	uint8_t header[HEADER + 256];
	size_t header_len;
};

static int ask(struct clients *c, struct client *k, uint8_t *body) {
	put64(body, now_ns());
	if (!c->req && zmq_send(k->socket, "", 0, ZMQ_SNDMORE) < 0)
		return -1;
	if (c->dialect == PRV1) {
		put64(k->header + ID + 8, ++k->sent);
		if (zmq_send(k->socket, k->header, k->header_len, ZMQ_SNDMORE) < 0)
			return -1;
	}
	if (zmq_send(k->socket, body, c->body, 0) < 0)
		return -1;
	k->open++;
	return 0;
}

// answer takes one message. It returns 1 for an outcome, 0 for anything else,
// -1 when there is none.
static int answer(struct clients *c, struct client *k, zmq_msg_t *msg, uint64_t *sent_at) {
	int ok = 1;
	*sent_at = 0;
	if (!c->req) {
		if (zmq_msg_recv(msg, k->socket, ZMQ_DONTWAIT) < 0)
			return -1;
		if (zmq_msg_size(msg) != 0 || !zmq_msg_more(msg)) {
			drop_rest(k->socket);
			return 0;
		}
	}
	if (c->dialect == PRV1) {
		if (zmq_msg_recv(msg, k->socket, ZMQ_DONTWAIT) < 0)
			return -1;
		const uint8_t *h = zmq_msg_data(msg);
		if (zmq_msg_size(msg) < HEADER || h[COMMAND] != REPLY) { // ACCEPTED
			drop_rest(k->socket);
			return 0;
		}
		if (h[CODE] != 1) {
			if (c->failed++ == 0)
				snprintf(c->error, sizeof c->error, "first outcome that is not OK: code %d", h[CODE]);
			ok = 0;
		}
		if (!zmq_msg_more(msg)) {
			k->open--;
			return 1;
		}
	}
	if (zmq_msg_recv(msg, k->socket, ZMQ_DONTWAIT) < 0)
		return -1;
	if (ok && zmq_msg_size(msg) == c->body) {
		const uint8_t *b = zmq_msg_data(msg);
		*sent_at = (uint64_t)get32(b) << 32 | get32(b + 4);
	} else if (ok) {
		c->failed++;
		snprintf(c->error, sizeof c->error, "an answer of %zu bytes to a request of %zu", zmq_msg_size(msg), c->body);
	}
	drop_rest(k->socket);
	k->open--;
	return 1;
}

static void note(struct clients *c, uint64_t sent_at, uint64_t now) {
	if (c->latencies_len == c->latencies_cap) {
		size_t cap = c->latencies_cap ? 2 * c->latencies_cap : 1 << 16;
		uint64_t *grown = realloc(c->latencies, cap * sizeof *grown);
		if (grown == NULL)
			return;
		c->latencies = grown;
		c->latencies_cap = cap;
	}
	c->latencies[c->latencies_len++] = now - sent_at;
}

static void say(int control, const char *line) {
	if (write(control, line, strlen(line)) < 0)
		perror("control");
}

static int open_clients(struct clients *c, void *context, int set, struct client *all) {
	for (int i = 0; i < c->sockets; i++) {
		struct client *k = &all[i];
		k->socket = connect_socket(context, c->req ? ZMQ_REQ : ZMQ_DEALER, c->endpoint);
		if (k->socket == NULL || watch(set, k->socket, i) != 0)
			return fail(c->error, "connect");
		uint8_t *h = k->header;
		size_t name = strlen(c->service);
		memcpy(h, "PRV1", 4);
		h[COMMAND] = REQUEST;
		h[CODE] = (uint8_t)c->priority;
		put64(h + ID, k->instance = draw());
		put32(h + NUMBER, 1);
		put32(h + REMAINING, c->deadline_ms);
		put64(h + SIDE, k->instance);
		h[SERVICE] = (uint8_t)name;
		memcpy(h + HEADER, c->service, name);
		k->header_len = HEADER + name;
	}
	return 0;
}

int run_clients(struct clients *c) {
	void *context = zmq_ctx_new();
	zmq_ctx_set(context, ZMQ_MAX_SOCKETS, c->sockets + 16);
	int set = epoll_create1(0), over = 0, measuring = 0, open = 0, looked = 0;
	struct client *all = calloc((size_t)c->sockets, sizeof *all);
	uint8_t *body = calloc(1, c->body);
	struct epoll_event events[64];
	zmq_msg_t msg;
	zmq_msg_init(&msg);
	if (open_clients(c, context, set, all) != 0)
		return -1;
	uint64_t start = now_ns(), begin = 0, from = start + (uint64_t)(c->warmup * 1e9), to = from + (uint64_t)(c->seconds * 1e9);
	// In turn, so that a deep window fills evenly.
	for (int n = 0; n < c->window; n++)
		for (int i = 0; i < c->sockets; i++, open++)
			if (ask(c, &all[i], body) != 0)
				return fail(c->error, "send");
	while (open > 0 && (!over || now_ns() < to + 10000000000u)) {
		int n = looked < c->sockets ? look(events, &looked, c->sockets) : epoll_wait(set, events, 64, 100);
		uint64_t now = now_ns();
		if (!measuring && now >= from) {
			measuring = 1;
			begin = now;
			say(c->control, "begin\n");
		}
		if (!over && now >= to) {
			over = 1;
			c->took = (double)(now - begin) / 1e9;
			say(c->control, "end\n");
		}
		for (int i = 0; i < n; i++) {
			struct client *k = &all[events[i].data.u32];
			uint64_t sent_at;
			int kind;
			while ((kind = answer(c, k, &msg, &sent_at)) >= 0) {
				if (kind == 0)
					continue;
				open--;
				if (measuring && !over && sent_at != 0) {
					c->done++;
					note(c, sent_at, now_ns());
				}
				if (!over) {
					open++;
					if (ask(c, k, body) != 0)
						return fail(c->error, "send");
				}
			}
		}
	}
	c->lost = (uint64_t)open;
	for (int i = 0; i < c->sockets; i++)
		zmq_close(all[i].socket);
	zmq_ctx_term(context);
	close(set);
	free(all);
	free(body);
	return 0;
}

// ---- workers

struct worker {
	void *socket;
	uint64_t instance, heard;
	uint32_t seq_in, seq_out;
	uint8_t epoch[8];
	int up;
};

static size_t header(struct worker *w, uint8_t *h, int command) {
	memset(h, 0, HEADER);
	memcpy(h, "PRV1", 4);
	h[COMMAND] = (uint8_t)command;
	memcpy(h + EPOCH, w->epoch, 8);
	put32(h + SENT, (uint32_t)(now_ns() / 1000000));
	put32(h + LINK, 1);
	put32(h + SEQ, ++w->seq_out);
	put32(h + ACK, w->seq_in);
	return HEADER;
}

static size_t field(uint8_t *p, int type, const void *value, size_t len) {
	p[0] = (uint8_t)type;
	put16(p + 1, (uint16_t)len);
	memcpy(p + 3, value, len);
	return 3 + len;
}

static int ready(struct workers *c, struct worker *w) {
	if (c->dialect == RAW)
		return 0;
	if (c->dialect == PPP)
		return zmq_send(w->socket, "\001", 1, 0);
	uint8_t h[HEADER + 512], credit[4], instance[8];
	size_t n = header(w, h, READY);
	put16(h + FLAGS, 1 << 12); // the last part
	put32(credit, (uint32_t)c->credit);
	put64(instance, w->instance);
	n += field(h + n, 5, credit, 4);
	n += field(h + n, 6, instance, 8);
	n += field(h + n, 8, c->service, strlen(c->service));
	return zmq_send(w->socket, h, n, 0);
}

static int beat(struct workers *c, struct worker *w) {
	if (c->dialect == PPP)
		return zmq_send(w->socket, "\002", 1, 0);
	uint8_t h[HEADER + 16], credit[4];
	size_t n = header(w, h, HEARTBEAT);
	put32(credit, (uint32_t)c->credit);
	n += field(h + n, 5, credit, 4);
	return zmq_send(w->socket, h, n, 0);
}

// echo_frames sends the message that begins with msg back as it came.
static int echo_frames(void *s, zmq_msg_t *msg) {
	for (;;) {
		int more = zmq_msg_more(msg);
		if (zmq_msg_send(msg, s, more ? ZMQ_SNDMORE : 0) < 0)
			return -1;
		if (!more)
			return 0;
		if (zmq_msg_recv(msg, s, 0) < 0)
			return -1;
	}
}

// work takes one message: 0, or -1 when there is none.
static int work(struct workers *c, struct worker *w, zmq_msg_t *msg) {
	if (zmq_msg_recv(msg, w->socket, ZMQ_DONTWAIT) < 0)
		return -1;
	if (c->dialect == RAW)
		return echo_frames(w->socket, msg);
	if (c->dialect == PPP) {
		w->up = 1;
		return zmq_msg_more(msg) ? echo_frames(w->socket, msg) : 0;
	}
	uint8_t h[HEADER], *in = zmq_msg_data(msg);
	if (zmq_msg_size(msg) < HEADER || in[COMMAND] == DISCONNECT) {
		drop_rest(w->socket);
		return 0;
	}
	w->seq_in = get32(in + SEQ);
	switch (in[COMMAND]) {
	case WELCOME:
		memcpy(w->epoch, in + EPOCH, 8);
		w->up = 1;
		beat(c, w);
		break;
	case HEARTBEAT:
		beat(c, w);
		break;
	case REQUEST:
		header(w, h, REPLY);
		h[CODE] = 1;
		memcpy(h + ID, in + ID, 28); // id, attempt, epoch
		if (!zmq_msg_more(msg)) {
			zmq_send(w->socket, h, HEADER, 0);
			break;
		}
		zmq_send(w->socket, h, HEADER, ZMQ_SNDMORE);
		zmq_msg_recv(msg, w->socket, 0);
		return echo_frames(w->socket, msg);
	}
	drop_rest(w->socket);
	return 0;
}

int run_workers(struct workers *c) {
	void *context = zmq_ctx_new();
	zmq_ctx_set(context, ZMQ_MAX_SOCKETS, c->sockets + 16);
	int set = epoll_create1(0), looked = 0, waiting = c->dialect == PRV1 ? c->sockets : 0;
	struct worker *all = calloc((size_t)c->sockets, sizeof *all);
	struct epoll_event events[64];
	zmq_msg_t msg;
	zmq_msg_init(&msg);
	uint64_t end = now_ns() + (uint64_t)(c->seconds * 1e9), beat_at = now_ns() + 1000000000u;
	for (int i = 0; i < c->sockets; i++) {
		all[i].instance = draw();
		all[i].socket = connect_socket(context, ZMQ_DEALER, c->endpoint);
		if (all[i].socket == NULL || watch(set, all[i].socket, i) != 0)
			return fail(c->error, "connect");
		if (ready(c, &all[i]) < 0)
			return fail(c->error, "send");
	}
	if (waiting == 0)
		say(c->control, "ready\n");
	for (uint64_t now = now_ns(); now < end; now = now_ns()) {
		int n = looked < c->sockets ? look(events, &looked, c->sockets) : epoll_wait(set, events, 64, 100);
		for (int i = 0; i < n; i++) {
			struct worker *w = &all[events[i].data.u32];
			int was = w->up;
			while (work(c, w, &msg) == 0) {
			}
			if (c->dialect == PRV1 && w->up && !was && --waiting == 0)
				say(c->control, "ready\n");
		}
		if (c->dialect == PPP && now >= beat_at) {
			beat_at = now + 1000000000u;
			for (int i = 0; i < c->sockets; i++)
				beat(c, &all[i]);
			looked = 0; // what has come meanwhile is not told by the descriptor
		}
	}
	if (waiting > 0) {
		snprintf(c->error, 200, "%d of %d workers never heard a WELCOME", waiting, c->sockets);
		return -1;
	}
	return 0;
}

// ---- a ROUTER that echoes

int run_echo(struct echo *e) {
	void *context = zmq_ctx_new();
	void *s = zmq_socket(context, ZMQ_ROUTER);
	int zero = 0, wait = 100;
	zmq_setsockopt(s, ZMQ_LINGER, &zero, sizeof zero);
	zmq_setsockopt(s, ZMQ_SNDHWM, &zero, sizeof zero);
	zmq_setsockopt(s, ZMQ_RCVHWM, &zero, sizeof zero);
	zmq_setsockopt(s, ZMQ_RCVTIMEO, &wait, sizeof wait);
	if (zmq_bind(s, e->endpoint) != 0)
		return fail(e->error, "bind");
	zmq_msg_t msg;
	zmq_msg_init(&msg);
	for (uint64_t end = now_ns() + (uint64_t)(e->seconds * 1e9); now_ns() < end;) {
		if (zmq_msg_recv(&msg, s, 0) < 0)
			continue;
		for (int n = 0;; n++) { // [peer] [] [header] [body]
			int more = zmq_msg_more(&msg);
			uint8_t *h = zmq_msg_data(&msg);
			if (n == 2 && zmq_msg_size(&msg) >= HEADER && memcmp(h, "PRV1", 4) == 0) {
				h[COMMAND] = REPLY;
				h[CODE] = 1;
				put16(h + FLAGS, 3 << 14);
				put64(h + EPOCH, 1);
			}
			if (zmq_msg_send(&msg, s, more ? ZMQ_SNDMORE : 0) < 0 || !more)
				break;
			if (zmq_msg_recv(&msg, s, 0) < 0)
				break;
		}
	}
	zmq_close(s);
	zmq_ctx_term(context);
	return 0;
}
