package core

import "slices"

// serve replaces the services that w serves. It says why it cannot.
func (c *Core) serve(w *worker, names [][]byte) string {
	if len(names) == 0 {
		names = [][]byte{[]byte(c.cfg.DefaultService)}
	}
	services, why := c.toServe(names)
	if why != "" {
		return why
	}
	if w.reserved != nil { // perhaps it does not serve that any longer
		c.unreserve(w.reserved)
	}
	old := w.servings
	w.servings = nil
	for _, s := range services {
		o := &serving{w: w, s: s}
		o.self.o = o
		if s.members.size == 0 {
			c.servedNames++
		}
		s.members.pushBack(&o.self)
		w.resting.pushBack(o)
		w.servings = append(w.servings, o)
	}
	c.stopServing(w, old)
	return ""
}

// toServe finds or makes the services of those names. It says why it cannot, and has
// made none then.
func (c *Core) toServe(names [][]byte) (services []*service, why string) {
	services = make([]*service, 0, len(names))
	unserved := 0 // of them, until now
	for _, name := range names {
		s := c.services[string(name)]
		if s != nil && slices.Contains(services, s) {
			continue
		}
		if s == nil || s.members.size == 0 {
			unserved++
		}
		if c.servedNames+unserved > c.cfg.MaxServices || s == nil && len(c.services) >= c.servicesMost() {
			for _, made := range services {
				c.sweepService(made)
			}
			return nil, "too many service names in use; this broker's limit is " + itoa(c.cfg.MaxServices)
		}
		if s == nil {
			s = c.newService(name)
		}
		services = append(services, s)
	}
	return services, ""
}

// mayHold reports whether w can have been handed r: it holds it, or serves what r
// asks for, as far as that is known.
func (w *worker) mayHold(r *request) bool {
	if !r.hasBody || r.run != nil && r.run.w == w {
		return true
	}
	for _, o := range w.servings {
		if o.s == r.svc {
			return true
		}
	}
	for _, name := range w.names { // in the READY that is being read
		if string(name) == r.svc.name {
			return true
		}
	}
	return false
}

func (c *Core) stopServing(w *worker, servings []*serving) {
	for _, o := range servings {
		if o.here {
			o.s.ready.remove(o)
		} else {
			w.resting.remove(o)
		}
		if o.s.members.remove(&o.self); o.s.members.size == 0 {
			c.servedNames--
		}
		c.sweepService(o.s)
	}
}
