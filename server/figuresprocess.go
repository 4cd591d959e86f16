package server

import (
	"bytes"
	"os"
	"runtime"
	"runtime/metrics"
	"strconv"
	"syscall"
	"time"

	figure "tarragon.dev/tarragon/internal/metrics"
)

// The process, and the runtime in the place of Lua's.
var (
	infoUptime = Metrics.Gauge("info", "tnt_info_uptime", "Seconds since the process was started.")
	cfgTime    = Metrics.Gauge("system", "tnt_cfg_current_time", "The clock of the machine, seconds since 1970.")

	cpuUser   = Metrics.Gauge("cpu", "tnt_cpu_user_time", "Seconds of processors that the process took.")
	cpuSystem = Metrics.Gauge("cpu", "tnt_cpu_system_time", "Seconds of processors that the system took for it.")
	cpuNumber = Metrics.Gauge("cpu_extended", "tnt_cpu_number", "Processors of the machine that it may use.")

	memoryResident = Metrics.Gauge("memory", "tnt_memory", "Bytes of memory that the process has of the machine. Linux.")
	memoryVirtual  = Metrics.Gauge("memory", "tnt_memory_virt", "Bytes of addresses that it has. Linux.")
	memoryLua      = Metrics.Gauge("memory", "tnt_info_memory_lua", "Bytes in use of Go's heap: there is no Lua.")
	memoryNet      = Metrics.Gauge("memory", "tnt_info_memory_net", "Bytes of answers that clients have not taken yet.")

	runtimeLua  = Metrics.Gauge("runtime", "tnt_runtime_lua", "Bytes in use of Go's heap.")
	runtimeUsed = Metrics.Gauge("runtime", "tnt_runtime_used", "Bytes that Go's runtime has of the machine.")

	fibers     = Metrics.Gauge("fibers", "tnt_fiber_amount", "Goroutines: there are no fibers.")
	fiberStack = Metrics.Gauge("fibers", "tnt_fiber_memalloc", "Bytes of their stacks.")

	loopTime = Metrics.Gauge("event_loop", "tnt_ev_loop_time", "Milliseconds that the newest Step of the core took.")
)

// heapSamples are read together, in this order.
var heapSamples = [...]string{"/memory/classes/heap/objects:bytes", "/memory/classes/total:bytes", "/sched/goroutines:goroutines", "/memory/classes/heap/stacks:bytes"}

func (f *figures) process(to *figure.Samples) {
	figure.Count(to, infoUptime, int64(time.Since(f.s.started)/time.Second))
	figure.Count(to, cfgTime, time.Now().Unix())
	figure.Count(to, cpuNumber, runtime.NumCPU())
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err == nil {
		to.Put(cpuUser, time.Duration(use.Utime.Nano()).Seconds())
		to.Put(cpuSystem, time.Duration(use.Stime.Nano()).Seconds())
	}
	if virtual, resident, ok := pagesOf(os.ReadFile("/proc/self/statm")); ok {
		figure.Count(to, memoryVirtual, virtual*int64(os.Getpagesize()))
		figure.Count(to, memoryResident, resident*int64(os.Getpagesize()))
	}
	var read [len(heapSamples)]metrics.Sample
	for i, name := range heapSamples {
		read[i].Name = name
	}
	metrics.Read(read[:])
	figure.Count(to, memoryLua, read[0].Value.Uint64())
	figure.Count(to, runtimeLua, read[0].Value.Uint64())
	figure.Count(to, runtimeUsed, read[1].Value.Uint64())
	figure.Count(to, fibers, read[2].Value.Uint64())
	figure.Count(to, fiberStack, read[3].Value.Uint64())
	figure.Count(to, memoryNet, f.s.port.clients.Unread())
	to.Put(loopTime, float64(f.s.meters.last.Load())/1e6)
	f.s.meters.collect(to)
}

// pagesOf reads the first numbers of /proc/self/statm: pages of addresses, and of memory.
func pagesOf(text []byte, err error) (virtual, resident int64, ok bool) {
	words := bytes.Fields(text)
	if err != nil || len(words) < 2 {
		return 0, 0, false
	}
	virtual, err = strconv.ParseInt(string(words[0]), 10, 64)
	if err == nil {
		resident, err = strconv.ParseInt(string(words[1]), 10, 64)
	}
	return virtual, resident, err == nil
}
