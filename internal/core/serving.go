package core

// serve replaces the services that w serves. It says why it cannot.
func (c *Core) serve(w *worker, names [][]byte) string {
	if len(names) == 0 {
		names = [][]byte{[]byte(c.cfg.DefaultService)}
	}
	services := make([]*service, 0, len(names))
	for _, name := range names {
		s := c.service(name)
		if s == nil {
			for _, made := range services {
				c.sweepService(made)
			}
			return "too many service names in use; this broker's limit is " + itoa(c.cfg.MaxServices)
		}
		dup := false
		for _, other := range services {
			dup = dup || other == s
		}
		if !dup {
			services = append(services, s)
		}
	}
	if w.reserved != nil { // perhaps it does not serve that any longer
		c.unreserve(w.reserved)
	}
	old := w.servings
	w.servings = nil
	for _, s := range services {
		o := &serving{w: w, s: s}
		o.self.o = o
		s.members.pushBack(&o.self)
		w.resting.pushBack(o)
		w.servings = append(w.servings, o)
	}
	c.stopServing(w, old)
	return ""
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
		o.s.members.remove(&o.self)
		c.sweepService(o.s)
	}
}
