package zmtplink

import "github.com/privateer-mq/privateer/internal/link"

// What is sent on a connection, whoever writes it.

// answer sends a command, if there is room for it. It is for who reads c.
func (c *conn) answer(command []byte) {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	if c.command(command) {
		c.flush()
	}
}

// sendCommand is answer for any goroutine. It reports whether there was room.
func (c *conn) sendCommand(command []byte) bool {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	if !c.command(command) {
		return false
	}
	if c.isPolled() {
		c.socket.host.poller.call(c)
	} else {
		c.flush()
	}
	return true
}

// command notes a command to be sent, if there is room for it. c.out.mu is held.
func (c *conn) command(command []byte) bool {
	if c.out.closed || c.out.ending || c.out.bytes > int64(earlyFlush) {
		return false // it asks again; and where the sending side is shut, to write is an error
	}
	c.out.command(command)
	c.weighOut()
	return true
}

// put notes a message to be sent by flush. place is how many came before it.
func (c *conn) put(frames [][]byte, delimiter bool) (place uint64, err error) {
	s := c.socket
	o := &c.out
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed || o.ending {
		return 0, link.ErrUnreachable
	}
	if c.full() {
		if c.flush(); c.full() {
			s.stats.full.Add(1)
			return 0, link.ErrFull
		}
		if o.closed {
			return 0, link.ErrUnreachable
		}
	}
	place = o.sentMessages + uint64(o.messages)
	o.append(delimiter, frames, s.options.Lend)
	c.weighOut()
	if o.bytes >= earlyFlush {
		c.flush()
	}
	return place, nil
}

// full reports whether a message is one too many. One that is under way, however
// large, does not keep the next one out.
func (c *conn) full() bool {
	waits := c.out.messages
	return waits >= c.socket.options.SendMax || waits > 1 && c.out.cost >= c.socket.messageBytesMax()
}

// weighOut lets the link know what waits to be sent. c.out.mu is held.
func (c *conn) weighOut() {
	o := &c.out
	c.socket.toSend.Add(o.cost - o.told)
	o.told = o.cost
}

// flush writes what waits, as far as the socket takes it. What is left is for the
// poller, or a goroutine that waits for room. c.out.mu is held.
func (c *conn) flush() {
	o := &c.out
	if o.blocked || o.closed || o.empty() {
		return
	}
	done, err := c.writeSome()
	if err != nil {
		c.end(err)
		c.dropOutgoing()
		return
	}
	if done {
		return
	}
	o.blocked = true
	if c.polled.on {
		c.socket.host.poller.watch(c)
	} else {
		c.socket.host.running.Add(1) // this connection's own is still counted
		go c.drain()
	}
}

// drain writes what waits until nothing does.
func (c *conn) drain() {
	defer c.socket.host.running.Done()
	if err := c.writeAll(); err != nil {
		c.end(err)
	}
}

// dropOutgoing drops what waits to be sent, for good. c.out.mu is held.
func (c *conn) dropOutgoing() {
	c.out.close()
	c.weighOut()
}

// sent notes that n bytes are gone. c.out.mu is held.
func (c *conn) sent(n int) {
	c.out.wrote(n)
	c.weighOut()
}
