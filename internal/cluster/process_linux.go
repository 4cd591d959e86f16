package cluster

import (
	"os/exec"
	"syscall"
)

// endWithUs has the kernel kill the process when ours dies, however that comes.
func endWithUs(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
}
