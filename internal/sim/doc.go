// Package sim plays a broker, workers and clients in a simulated world: the
// production state machines (internal/core, session and calls), a network that
// loses what TCP under ZeroMQ loses, and faults drawn from a seed. An oracle
// sees everything that happens and knows what really became of each request; it
// says which promise is broken, and when. One seed, one story, for ever.
//
// README.md says what is simulated, what is checked, and how to use it.
package sim
