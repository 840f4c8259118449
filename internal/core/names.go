package core

// Names that workers serve and names that only requests have are bounded apart, each
// by MaxServices: whoever makes names up keeps no worker out.

// service finds the service of that name for a request, or makes it; nil when there are
// too many that no worker serves.
func (c *Core) service(name []byte) *service {
	if s := c.services[string(name)]; s != nil {
		return s
	}
	if len(c.services)-c.servedNames >= c.cfg.MaxServices {
		return nil
	}
	return c.newService(name)
}

func (c *Core) newService(name []byte) *service {
	s := &service{name: string(name), wire: append([]byte(nil), name...)}
	c.services[s.name] = s
	return s
}

// servicesMost bounds the names of both kinds together: when workers go, those they
// have served become names that only requests have, over the bound on new ones.
func (c *Core) servicesMost() int { return 2 * c.cfg.MaxServices }

// sweepService forgets s if nothing refers to it, so that names seen once do
// not use up the bound for ever.
func (c *Core) sweepService(s *service) {
	if s.open == 0 && s.members.size == 0 && s.name != "" && !s.paused {
		delete(c.services, s.name)
	}
}

func (c *Core) tooManyNames() string {
	return "too many service names in use that no worker serves; this broker's limit is " + itoa(c.cfg.MaxServices)
}
