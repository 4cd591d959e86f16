// Package config reads the configuration of an instance: a YAML file in the
// layout of Tarantool 3, the environment and flags. The result is one typed,
// resolved [Instance], the other members of its replica set, and warnings.
//
// # Where an option comes from
//
// The first of these that has it wins:
//
//	flags
//	TT_<PATH>, as in TT_IPROTO_LISTEN
//	the file: instance scope, replicaset scope, group scope, global scope
//	TT_<PATH>_DEFAULT, then the old names, as in TT_LISTEN
//	the defaults of the caller ([Source].Defaults)
//	the default of schema.txt
//
// Maps merge, lists and scalars replace, null counts as not set.
//
// # Invariants
//
//  1. Every mistake is reported, not the first alone, each with the file and
//     line (or the variable, or the flag) and the path of the option.
//  2. An unknown key is a mistake; a key that Tarantool 3.8 knows and this
//     program does not serve is a [Warning]. What would be dangerous to ignore
//     (TLS asked for, an application to run) is a mistake too.
//  3. The size and depth of foreign YAML are bounded, aliases included.
//  4. The package keeps no state: the same Source gives the same Instance.
//
// schema.txt is the list of all options, and says of each what is known: reading,
// checking, variables, box.cfg (package proc) and the tables of docs/configuration.md
// go by it. Sources: Tarantool 3.8,
// src/box/lua/config: instance_config.lua, cluster_config.lua, configdata.lua,
// validators.lua, utils/units.lua.
package config
