package cluster

import (
	"os/exec"
	"syscall"
)

// endWithUs has the kernel kill the process when ours dies, however that comes.
func endWithUs(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
