package embedded

import "syscall"

// dieWithParent has the kernel end the server when this process dies, however it dies.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGQUIT }
