package core

// offer replaces the services that w serves. It says why it cannot.
func (c *Core) offer(w *worker, names [][]byte) string {
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
	old := w.offers
	w.offers = nil
	for _, s := range services {
		o := &offer{w: w, s: s}
		o.self.o = o
		s.members.pushBack(&o.self)
		w.resting.pushBack(o)
		w.offers = append(w.offers, o)
	}
	c.withdrawOffers(w, old)
	return ""
}

func (c *Core) withdrawOffers(w *worker, offers []*offer) {
	for _, o := range offers {
		if o.here {
			o.s.offers.remove(o)
		} else {
			w.resting.remove(o)
		}
		o.s.members.remove(&o.self)
		c.sweepService(o.s)
	}
}
