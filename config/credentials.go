package config

import (
	"slices"
	"strconv"
)

// predefinedRoles are there without being asked for.
var predefinedRoles = map[string]bool{"public": true, "replication": true, "super": true, "sharding": true}

func itemPath(path string, i int) string { return path + "[" + strconv.Itoa(i+1) + "]" }

func (o *options) credentials() Credentials {
	var c Credentials
	users, roles := o.get("credentials.users"), o.get("credentials.roles")
	for _, name := range users.names() {
		v := users.at(name)
		path := "credentials.users." + name
		u := User{Name: name, Roles: o.roleNames(v, path, roles), Privileges: o.privileges(v, path)}
		u.Password, u.HasPassword = v.at("password").str(), v.at("password") != nil
		if name == "" {
			o.mistake(v.where, path, "the name of a user is empty")
		}
		if name == "guest" && u.Password != "" {
			o.mistake(v.at("password").where, path+".password", "the user guest can have no password")
		}
		c.Users = append(c.Users, u)
	}
	for _, name := range roles.names() {
		v := roles.at(name)
		path := "credentials.roles." + name
		if name == "" {
			o.mistake(v.where, path, "the name of a role is empty")
		}
		if users.at(name) != nil {
			o.mistake(v.where, path, "the name is that of a user too")
		}
		c.Roles = append(c.Roles, Role{Name: name, Roles: o.roleNames(v, path, roles), Privileges: o.privileges(v, path)})
	}
	if roles.at(shardingRole) == nil && usesRole(c, shardingRole) {
		c.Roles = append(c.Roles, o.sharding())
	}
	o.roleCycles(roles)
	return c
}

// shardingRole is there, as in Tarantool, for whoever asks for it. On a
// storage it may replicate; the functions of vshard that it may call there are
// known to vshard alone, so the instances of Tarantool grant those.
const shardingRole = "sharding"

func (o *options) sharding() Role {
	r := Role{Name: shardingRole}
	for _, v := range o.get("sharding.roles").list() {
		if v.text == "storage" {
			r.Roles = []string{"replication"}
		}
	}
	return r
}

func usesRole(c Credentials, name string) bool {
	for _, u := range c.Users {
		if slices.Contains(u.Roles, name) {
			return true
		}
	}
	return slices.ContainsFunc(c.Roles, func(r Role) bool { return slices.Contains(r.Roles, name) })
}

// roleNames are the roles granted to a user or role. One that the file does not
// define may have been made by hand, so it is a warning.
func (o *options) roleNames(v *value, path string, known *value) []string {
	for i, r := range v.at("roles").list() {
		if !predefinedRoles[r.text] && known.at(r.text) == nil {
			o.warn(r.where, itemPath(path+".roles", i), "the role %q is neither predefined nor in credentials.roles", r.text)
		}
	}
	return strs(v.at("roles"))
}

func (o *options) privileges(v *value, path string) []Privilege {
	var out []Privilege
	for i, p := range v.at("privileges").list() {
		if p.at("permissions") == nil {
			o.mistake(p.where, itemPath(path+".privileges", i), "The permissions field must be defined for a privilege")
		}
		universe, _ := parseBool(p.at("universe").str())
		eval, _ := parseBool(p.at("lua_eval").str())
		out = append(out, Privilege{
			Permissions: strs(p.at("permissions")),
			Universe:    universe,
			Spaces:      strs(p.at("spaces")),
			Functions:   strs(p.at("functions")),
			Sequences:   strs(p.at("sequences")),
			LuaEval:     eval,
			LuaCall:     strs(p.at("lua_call")),
			SQL:         strs(p.at("sql")),
		})
	}
	return out
}

// roleCycles reports roles that are granted to themselves by way of others.
func (o *options) roleCycles(roles *value) {
	const (
		open = 1
		done = 2
	)
	state := map[string]int{}
	var visit func(name string)
	visit = func(name string) {
		state[name] = open
		for i, r := range roles.at(name).at("roles").list() {
			switch {
			case roles.at(r.text) == nil:
			case state[r.text] == open:
				o.mistake(r.where, itemPath("credentials.roles."+name+".roles", i), "Granting role '%s' to role '%s' would create a loop", r.text, name)
			case state[r.text] == 0:
				visit(r.text)
			}
		}
		state[name] = done
	}
	for _, name := range roles.names() {
		if state[name] == 0 {
			visit(name)
		}
	}
}
