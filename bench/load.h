// The load of the measurements, in C so that it costs as little as it can: the
// broker under test is to be the bottleneck, not its clients and workers.
#ifndef LOAD_H
#define LOAD_H

#include <stddef.h>
#include <stdint.h>

// What a side speaks.
enum dialect { RAW = 0, PRV1 = 1, PPP = 2 };

// What clients do. Each socket keeps window requests in the air.
struct clients {
	const char *endpoint;
	const char *service;
	int dialect; // RAW or PRV1
	int req;     // 1: REQ sockets, whose window is 1
	int sockets;
	int window;
	int priority; // PRV1
	size_t body;  // bytes, at least 8
	uint32_t deadline_ms;
	double warmup, seconds; // the measured time begins after the warm-up

	int control; // a line is written here when the measured time begins, and when it ends

	uint64_t done, failed, lost; // failed: another outcome than OK; lost: no answer within 10 s of the end
	double took;
	uint64_t *latencies; // ns, in the order of arrival
	size_t latencies_len, latencies_cap;
	char error[200];
};

// What workers do: they send each body back.
struct workers {
	const char *endpoint;
	const char *service;
	int dialect; // RAW: a DEALER behind a proxy
	int sockets;
	int credit;
	double seconds; // they end after so long
	int control;    // a line is written here when all of them are registered
	char error[200];
};

// What a queue does that only echoes: one ROUTER, no workers.
struct echo {
	const char *endpoint;
	double seconds;
	char error[200];
};

// Each returns 0, or -1 with a sentence in error.
int run_clients(struct clients *c);
int run_workers(struct workers *w);
int run_echo(struct echo *e);

// The Paranoid Pirate queue as the ZeroMQ guide has it, until killed.
int run_guide_queue(const char *frontend, const char *backend, char error[200]);

#endif
