// Package packaging has what the program is shipped with: a unit of systemd, a Debian package,
// a container, manifests for Kubernetes. Its tests install and run them; it is a module of its
// own, so that the program depends on none of its tools.
package packaging
