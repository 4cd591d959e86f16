// Package peer starts other databases on this machine, as replica sets with the
// durability of ours: Tarantool, etcd and PostgreSQL.
//
// Each has its programs where the machine has them; a program that is missing is
// an error that says what to install. Processes end with ours, and their data
// is below the directory that the caller gives.
//
//	what             one row is on the disks of a quorum when
//	Tarantool        its space is synchronous, replication_synchro_quorum is more than half, wal_mode is fsync
//	etcd             it is answered: always
//	PostgreSQL       synchronous_commit is on and synchronous_standby_names takes ANY of the standbys
package peer
