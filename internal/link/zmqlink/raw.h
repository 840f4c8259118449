// Many messages in one call from Go: a call into C costs as much as a small
// message, and the plain way makes six of them for a frame.
#ifndef PRIVATEER_RAW_H
#define PRIVATEER_RAW_H

#include <stddef.h>
#include <stdint.h>
#include <zmq.h>

// A frame of so many bytes or more is not copied together with others.
enum { LARGE = 4096 };

// Frames are told by numbers of 64 bits: twice the length, plus 1 if another
// frame of the same message follows.
struct batch {
	zmq_msg_t msg;
	int held;  // msg is a frame that was received and not yet taken
	int messages, frames; // taken by the last call
	size_t bytes;
	size_t need; // 0, or the size of the frame held, which did not fit or is large
	int error;   // errno that ended the last call; 0: a bound did
};

// A failure is one message of raw_send that was not sent.
struct failure {
	int message; // its number in the call
	int frame;   // the frame that failed; those before it were taken
	int error;
};

struct batch *raw_new(void);
void raw_free(struct batch *b);

// raw_receive takes waiting messages, at most so many, and writes their frames
// one behind the other.
void raw_receive(void *socket, struct batch *b, uint8_t *to, size_t room, uint64_t *lengths, int frames_max, int messages_max);

// raw_take copies the frame that is held to a place of its own. It returns 1
// if another frame of its message follows.
int raw_take(struct batch *b, uint8_t *to);

// raw_send sends messages whose frames stand one behind the other. It returns
// the number of failures, which has room for all. If ordered it sends nothing
// behind the first.
int raw_send(void *socket, const uint8_t *from, const uint64_t *lengths, int frames, int ordered, struct failure *failures);

// raw_send_frame sends one frame and returns 0 or errno.
int raw_send_frame(void *socket, const uint8_t *from, size_t length, int more);

// A loan is a frame that libzmq sends from where it is, without a copy.
struct loan {
	struct returned *to;
	struct loan *next; // among those returned
};

// What libzmq has no use of any more is on a list, which its threads add to, so that
// nobody has to look at all that is on loan.
struct returned {
	struct loan *first; // atomic
};

struct returned *returned_new(void);
void returned_free(struct returned *r);

// returned_take empties the list, and returns what was on it.
struct loan *returned_take(struct returned *r);

struct loan *loan_new(struct returned *to);
void loan_free(struct loan *l);

// raw_send_loan is raw_send_frame for a frame that stays as and where it is
// until the loan is returned, which it is in any case.
int raw_send_loan(void *socket, uint8_t *from, size_t length, int more, struct loan *l);

// A waiter waits for several sockets through their descriptors. Those speak
// only when libzmq has news for a socket whose last call found none, so a
// socket that was used otherwise since, above all for sending, is asked first.
struct waited {
	void *socket;
	int fd;
	int used;  // since it was last found to have nothing to read
	int ready; // it may have something to read
};

// raw_fd is the socket's descriptor, or -1.
int raw_fd(void *socket);

// raw_wait waits at most so many milliseconds and returns how many are ready,
// or the negative errno.
int raw_wait(struct waited *all, int n, int timeout);

#endif
