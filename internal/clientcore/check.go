package clientcore

import (
	"errors"
	"fmt"
)

// Check says which invariant is broken; nil if none is. Tests call it after
// every step. It takes time in proportion to everything the machine holds.
func (m *Machine) Check() error {
	return errors.Join(m.checkCalls(), m.checkLinks(), m.checkTimers())
}

func (m *Machine) checkCalls() error {
	if len(m.calls) != len(m.byID) || len(m.calls) > m.cfg.CallsMax {
		return fmt.Errorf("%d calls, %d ids, bound %d", len(m.calls), len(m.byID), m.cfg.CallsMax)
	}
	if len(m.withdrawals) > 2*m.cfg.CallsMax {
		return fmt.Errorf("%d withdrawals", len(m.withdrawals))
	}
	for key, c := range m.calls {
		pending := 0
		for i := range m.brokers {
			if w := m.withdrawals[withdrawalKey{c.ID, i}]; w != nil && w.call == c {
				pending++
			}
		}
		switch {
		case c.Key != key || m.byID[c.ID] != c:
			return fmt.Errorf("call %d: wrong key or id", key)
		case c.timer.slot == 0:
			return fmt.Errorf("call %d: nothing will wake it", key)
		case c.due > max(m.limit(c), c.Deadline+m.brokers[m.preferred].heartbeat+VerdictGrace, m.now) && c.phase != withdrawing:
			return fmt.Errorf("call %d: waits until %v, beyond its limit %v", key, c.due, m.limit(c))
		case (c.phase == asking || c.phase == pinging) != (c.link != nil) && c.phase != withdrawing:
			return fmt.Errorf("call %d: phase %d, on a link: %v", key, c.phase, c.link != nil)
		case len(c.open) > openMax || int(c.number) < len(c.open):
			return fmt.Errorf("call %d: %d tries open of %d", key, len(c.open), c.number)
		case c.ended > c.Retries+1:
			return fmt.Errorf("call %d: %d tries of %d", key, c.ended, c.Retries+1)
		case pending != c.pending:
			return fmt.Errorf("call %d: %d CANCELs, says %d", key, pending, c.pending)
		case c.phase == withdrawing && !c.pulled:
			return fmt.Errorf("call %d: withdrawn by nobody", key)
		}
	}
	for key, w := range m.withdrawals {
		if w.timer.slot == 0 || w.id != key.id || w.broker != key.broker || w.round > cancelRounds {
			return fmt.Errorf("CANCEL of %v at %d: out of order", key.id, key.broker)
		}
	}
	return nil
}

func (m *Machine) checkLinks() error {
	idle := map[*link]bool{}
	for i := range m.brokers {
		b := &m.brokers[i]
		if len(b.idle) > m.cfg.CallsMax {
			return fmt.Errorf("broker %d: %d idle links", i, len(b.idle))
		}
		for _, l := range b.idle {
			if len(l.asks) != 0 || l.broker != i || m.links[l.id] != l || idle[l] {
				return fmt.Errorf("link %d: not idle", l.id)
			}
			idle[l] = true
		}
	}
	for id, l := range m.links {
		switch {
		case m.cfg.Face == Req && len(l.asks) > 1:
			return fmt.Errorf("link %d: %d asks over REQ", id, len(l.asks))
		case m.cfg.Face == Req && len(l.asks) == 0 && !idle[l]:
			return fmt.Errorf("link %d: leaked", id)
		case m.cfg.Face == Dealer && m.brokers[l.broker].dealer != l:
			return fmt.Errorf("link %d: not its broker's", id)
		case len(l.held) > 0 && l.timer.slot == 0:
			return fmt.Errorf("link %d: holds back %d messages for ever", id, len(l.held))
		}
		held := 0
		for i, a := range l.asks {
			if a.link != l || a.slot != i || a.held && a.out {
				return fmt.Errorf("link %d: ask %d out of order", id, i)
			}
			if a.held {
				held++
			}
		}
		if held != len(l.held) {
			return fmt.Errorf("link %d: holds back %d, says %d", id, held, len(l.held))
		}
	}
	return nil
}

func (m *Machine) checkTimers() error {
	for i, t := range m.timers.heap {
		if t.slot != i+1 || i > 0 && m.timers.less(i, (i-1)/2) {
			return fmt.Errorf("timer %d out of order", i)
		}
	}
	return nil
}
