//go:build !linux

package integration

import "os/exec"

func spawn(cmd *exec.Cmd) error { return cmd.Start() }

// standsStill cannot look; SIGSTOP takes effect at once, or nearly so.
func standsStill(int) bool { return true }
