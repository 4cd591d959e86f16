package packaging

import (
	"bytes"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

var released struct {
	once sync.Once
	dir  string
	err  error
	out  []byte
}

func TestMain(m *testing.M) {
	code := m.Run()
	if released.dir != "" {
		_ = os.RemoveAll(released.dir)
	}
	os.Exit(code)
}

// release makes what is published for this machine, once.
func release(t *testing.T) string {
	t.Helper()
	released.once.Do(func() {
		if released.dir, released.err = os.MkdirTemp("", "tarragon-release"); released.err == nil {
			released.out, released.err = releaseTo(released.dir)
		}
	})
	if released.err != nil {
		t.Fatalf("%v\n%s", released.err, released.out)
	}
	return released.dir
}

func releaseTo(dir string) ([]byte, error) {
	cmd := exec.Command("./release.sh", dir)
	cmd.Env = append(os.Environ(), "ARCHES=amd64", "GOFLAGS=-tags=pebblegozstd")
	return cmd.CombinedOutput()
}

// The same commit gives the same bytes.
func TestReproducible(t *testing.T) {
	again := t.TempDir()
	if out, err := releaseTo(again); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	first, err := os.ReadFile(filepath.Join(release(t), "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	second, err := os.ReadFile(filepath.Join(again, "SHA256SUMS"))
	if err != nil || !bytes.Equal(first, second) {
		t.Errorf("%v\n%s%s", err, first, second)
	}
	if n := bytes.Count(first, []byte("\n")); n != 3 { // binary, package, list of parts
		t.Errorf("%d files:\n%s", n, first)
	}
}

// The files of configuration that are shipped are right.
func TestConfigurations(t *testing.T) {
	binary := filepath.Join(release(t), "tarragon-linux-amd64")
	secret := t.TempDir()
	for _, name := range []string{"replicator", "admin"} {
		if err := os.WriteFile(filepath.Join(secret, name), []byte("s\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	k8s := filepath.Join(t.TempDir(), "cluster.yaml")
	text := strings.ReplaceAll(manifests(t).config.Data["cluster.yaml"], "/etc/tarragon/secret", secret)
	if err := os.WriteFile(k8s, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for file, instance := range map[string]string{"deb/cluster.yaml": "i-001", k8s: "tarragon-1"} {
		cmd := exec.Command(binary, "serve", "--check", "--config", file, "--instance", instance)
		cmd.Env = []string{"TT_REPLICATOR_PASSWORD=r", "TT_ADMIN_PASSWORD=a"}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", file, err, out)
		}
	}
}

// set is what the manifests hold.
type set struct {
	config  corev1.ConfigMap
	members corev1.Service
	clients corev1.Service
	budget  policyv1.PodDisruptionBudget
	pods    appsv1.StatefulSet
}

// manifests are read by the types of Kubernetes, which refuse a field that is none.
func manifests(t *testing.T) (s set) {
	t.Helper()
	data, err := os.ReadFile("kubernetes/tarragon.yaml")
	if err != nil {
		t.Fatal(err)
	}
	docs := strings.Split(string(data), "\n---\n")
	into := []any{&s.config, &s.members, &s.clients, &s.budget, &s.pods}
	if len(docs) != len(into) {
		t.Fatalf("%d documents", len(docs))
	}
	for i, doc := range docs {
		if err := yaml.UnmarshalStrict([]byte(doc), into[i]); err != nil {
			t.Errorf("document %d: %v", i+1, err)
		}
	}
	return s
}

// What the parts of the manifests say of each other fits.
func TestManifests(t *testing.T) {
	s := manifests(t)
	pod := s.pods.Spec.Template
	for name, selector := range map[string]map[string]string{"members": s.members.Spec.Selector, "clients": s.clients.Spec.Selector,
		"budget": s.budget.Spec.Selector.MatchLabels, "pods": s.pods.Spec.Selector.MatchLabels} {
		for k, v := range selector {
			if pod.Labels[k] != v || len(selector) == 0 {
				t.Errorf("%s select %v, pods have %v", name, selector, pod.Labels)
			}
		}
	}
	if s.pods.Spec.ServiceName != s.members.Name || s.members.Spec.ClusterIP != corev1.ClusterIPNone || !s.members.Spec.PublishNotReadyAddresses {
		t.Error("members do not find each other by name before they are ready")
	}
	c := pod.Spec.Containers[0]
	ports, volumes := map[string]bool{}, map[string]bool{s.pods.Spec.VolumeClaimTemplates[0].Name: true}
	for _, p := range c.Ports {
		ports[p.Name] = true
	}
	for _, v := range pod.Spec.Volumes {
		volumes[v.Name] = true
	}
	for name, p := range map[string]*corev1.Probe{"startup": c.StartupProbe, "liveness": c.LivenessProbe, "readiness": c.ReadinessProbe} {
		if p == nil || p.HTTPGet == nil || !ports[p.HTTPGet.Port.String()] {
			t.Errorf("%s: %v", name, p)
		}
	}
	for _, p := range slices.Concat(s.members.Spec.Ports, s.clients.Spec.Ports) {
		if !ports[p.TargetPort.String()] {
			t.Errorf("port %s leads nowhere", p.Name)
		}
	}
	for _, m := range c.VolumeMounts {
		if !volumes[m.Name] {
			t.Errorf("there is no volume %s", m.Name)
		}
	}
	if *s.pods.Spec.Replicas-int32(s.budget.Spec.MaxUnavailable.IntValue()) < *s.pods.Spec.Replicas/2+1 {
		t.Error("the budget lets a quorum go")
	}
	if c.Lifecycle == nil || !slices.Contains(c.Lifecycle.PreStop.Exec.Command, "switchover") {
		t.Error("leadership does not move before a pod stops")
	}
}

// What systemd thinks of the unit.
func TestUnit(t *testing.T) {
	verify, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("there is no systemd-analyze here")
	}
	dir := t.TempDir()
	data, err := os.ReadFile("tarragon@.service")
	if err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(dir, "tarragon@i-001.service") // the program of the unit has to be there
	data = bytes.ReplaceAll(data, []byte("/usr/bin/tarragon"), []byte(filepath.Join(release(t), "tarragon-linux-amd64")))
	if err := os.WriteFile(unit, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(verify, "verify", "--man=no", unit).CombinedOutput(); err != nil || bytes.Contains(out, []byte("tarragon@")) {
		t.Errorf("%v\n%s", err, out)
	}
}

// The tree of the container is enough for the program, as a user who is nobody. No builder is
// needed: the instructions are followed by hand.
func TestContainer(t *testing.T) {
	text, err := os.ReadFile("Containerfile")
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(release(t), "tarragon-linux-amd64")
	root := t.TempDir()
	var user, entry string
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		switch {
		case len(f) == 0 || strings.HasPrefix(f[0], "#"):
		case f[0] == "FROM" && f[1] != "scratch":
			t.Errorf("it is made from %s", f[1])
		case f[0] == "USER":
			user = f[1]
		case f[0] == "ENTRYPOINT":
			entry = strings.Trim(f[1], `[]"`)
		case f[0] == "COPY":
			from, to := f[len(f)-2], filepath.Join(root, f[len(f)-1])
			if from == "${BINARY}" {
				from = binary
			} else {
				from = filepath.Join("..", from)
			}
			data, err := os.ReadFile(from)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(to, data, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	f, err := elf.Open(binary)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("the program is not static")
		}
	}
	if user != "65532:65532" {
		t.Errorf("it runs as %q", user)
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can run the program in its tree")
	}
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(entry, "version")
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
	if out, err := cmd.CombinedOutput(); err != nil || !bytes.HasPrefix(out, []byte("Tarragon ")) {
		t.Errorf("%v: %s", err, out)
	}
}

// run is a command that has to go well.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// The package can be installed, its instance starts as its user and serves, and a purge leaves
// what was written and nothing else.
func TestDebianPackage(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root installs packages")
	}
	if _, err := exec.LookPath("dpkg"); err != nil {
		t.Skip("there is no dpkg here")
	}
	if exec.Command("dpkg", "-s", "tarragon").Run() == nil {
		t.Skip("the package is installed on this machine: the test would remove it")
	}
	debs, err := filepath.Glob(filepath.Join(release(t), "*.deb"))
	if err != nil || len(debs) != 1 {
		t.Fatal(debs, err)
	}
	t.Cleanup(func() {
		_ = exec.Command("dpkg", "-P", "tarragon").Run()
		_ = os.RemoveAll("/var/lib/tarragon")
		_ = exec.Command("userdel", "tarragon").Run()
		_ = os.RemoveAll("/run/tarragon")
	})
	run(t, "dpkg", "-i", debs[0])
	if mode := run(t, "stat", "-c", "%a %U:%G", "/etc/tarragon/cluster.yaml", "/var/lib/tarragon"); mode != "640 root:tarragon\n700 tarragon:tarragon\n" {
		t.Errorf("modes: %s", mode)
	}
	run(t, "install", "-d", "-o", "tarragon", "/run/tarragon")
	serve := exec.Command("setpriv", "--reuid=tarragon", "--regid=tarragon", "--clear-groups", "/usr/bin/tarragon", "serve", "--instance", "i-001",
		"--set", "process.work_dir=/var/lib/tarragon")
	serve.Env = []string{"TT_CONFIG=/etc/tarragon/cluster.yaml", "TT_REPLICATOR_PASSWORD=r", "TT_ADMIN_PASSWORD=a"}
	var log bytes.Buffer
	serve.Stdout, serve.Stderr = &log, &log
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- serve.Wait() }()
	// The status asks by the control socket, as root may.
	leads := func() bool {
		status := exec.Command("/usr/bin/tarragon", "status", "--config", "/etc/tarragon/cluster.yaml")
		status.Env = serve.Env
		out, _ := status.CombinedOutput()
		return strings.Contains(string(out), "leader")
	}
	for deadline := time.Now().Add(time.Minute); !leads(); {
		select {
		case err := <-ended:
			t.Fatalf("it has ended: %v\n%s", err, log.String())
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			_ = serve.Process.Kill()
			<-ended
			t.Fatalf("it does not lead\n%s", log.String())
		}
	}
	if err := serve.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("the stop: %v\n%s", err, log.String())
	}

	run(t, "dpkg", "-r", "tarragon")
	if _, err := os.Stat("/etc/tarragon/cluster.yaml"); err != nil {
		t.Error("a removal takes the configuration:", err)
	}
	said := run(t, "dpkg", "-P", "tarragon")
	if !strings.Contains(said, "has data and stays") {
		t.Errorf("a purge says %q", said)
	}
	if _, err := os.Stat("/var/lib/tarragon/i-001"); err != nil {
		t.Error("a purge takes the data:", err)
	}
	for _, gone := range []string{"/etc/tarragon", "/usr/bin/tarragon", "/lib/systemd/system/tarragon@.service", "/var/log/tarragon"} {
		if _, err := os.Stat(gone); err == nil {
			t.Errorf("%s is left", gone)
		}
	}
}
