package protocol

// A Direction is a socket and a way through it.
type Direction uint8

// The four directions.
const (
	FrontIn  Direction = iota // client → broker
	FrontOut                  // broker → client
	BackIn                    // worker → broker
	BackOut                   // broker → worker
)

func (d Direction) String() string {
	return [...]string{"client → broker", "broker → client", "worker → broker", "broker → worker"}[d]
}

// front reports whether the 12 side bytes are the front's.
func (d Direction) front() bool { return d == FrontIn || d == FrontOut }

// legal is the closed table: which command may travel in which direction.
// Anything else is refused by Parse.
var legal = [4]uint32{
	FrontIn:  1<<Ping | 1<<Request | 1<<Cancel | 1<<Credit,
	FrontOut: 1<<Pong | 1<<Accepted | 1<<Reply,
	BackIn:   1<<Ready | 1<<Heartbeat | 1<<Reply | 1<<Progress | 1<<Disconnect,
	BackOut:  1<<Welcome | 1<<Request | 1<<Cancel | 1<<Credit | 1<<Ack | 1<<Heartbeat | 1<<Disconnect,
}

// Legal reports whether cmd may travel in direction d.
func Legal(d Direction, cmd Command) bool { return cmd < 32 && legal[d]&(1<<cmd) != 0 }
