package zmqlink

import "github.com/privateer-mq/privateer/internal/link"

// Plain makes the links that h opens from now on make plain calls.
func Plain(h link.Host) { h.(*host).plain = true }
