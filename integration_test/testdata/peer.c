/* A client or a worker of the ZeroMQ guide, over libzmq. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

/* ask is a REQ socket: it prints each reply. */
static void ask(void *context, const char *broker, int requests) {
	void *socket = zmq_socket(context, ZMQ_REQ);
	assert(zmq_connect(socket, broker) == 0);
	for (int n = 0; n < requests; n++) {
		char text[256];
		int size = snprintf(text, sizeof text, "request %d", n);
		assert(zmq_send(socket, text, size, 0) == size);
		size = zmq_recv(socket, text, sizeof text, 0);
		assert(size >= 0 && size <= (int)sizeof text);
		printf("%.*s\n", size, text);
	}
	zmq_close(socket);
}

/* work is a worker of the Paranoid Pirate Protocol that sends each body back. */
static void work(void *context, const char *broker) {
	void *socket = zmq_socket(context, ZMQ_DEALER);
	int patience = 200;
	assert(zmq_setsockopt(socket, ZMQ_RCVTIMEO, &patience, sizeof patience) == 0);
	assert(zmq_connect(socket, broker) == 0);
	assert(zmq_send(socket, "\1", 1, 0) == 1); /* READY */
	for (;;) {
		zmq_msg_t frame;
		zmq_msg_init(&frame);
		if (zmq_msg_recv(&frame, socket, 0) < 0 || !zmq_msg_more(&frame)) { /* nothing, or a heartbeat */
			zmq_msg_close(&frame);
			assert(zmq_send(socket, "\2", 1, 0) == 1);
			continue;
		}
		for (int more = 1; more;) {
			more = zmq_msg_more(&frame);
			assert(zmq_msg_send(&frame, socket, more ? ZMQ_SNDMORE : 0) >= 0);
			zmq_msg_init(&frame);
			if (more)
				assert(zmq_msg_recv(&frame, socket, 0) >= 0);
		}
		zmq_msg_close(&frame);
	}
}

int main(int count, char **args) {
	void *context = zmq_ctx_new();
	if (count == 3 && strcmp(args[1], "worker") == 0)
		work(context, args[2]);
	if (count != 4)
		return 2;
	ask(context, args[2], atoi(args[3]));
	zmq_ctx_term(context);
	return 0;
}
