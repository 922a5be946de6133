package main

import (
	"strings"
)

const pageTop = `# Calls

Generated from the contract and the access table of the default district; ` + "`make generate`" + ` writes it. Which purpose goes into
` + "`lianhu-purpose`" + ` for which call, and whose roles may make it. A role is told from the certificate: [access.yaml](../districts/xinbei/access.yaml)
says how, and which relation to the item it wants beside the role. A call that says no role is made by the suite's own services.
`

// page is the table of calls, actions, roles and purposes.
func (d *doc) page() string {
	var out strings.Builder
	out.WriteString(pageTop)
	service := ""
	for _, c := range d.calls {
		if name := string(c.method.Parent().FullName()); name != service {
			service = name
			out.WriteString("\n## " + strings.TrimPrefix(service, "lianhu.") + "\n\n| call | JSON | action | roles | purposes |\n|---|---|---|---|---|\n")
		}
		http := "stream, gRPC only"
		if c.verb != "" {
			http = "`" + strings.ToUpper(c.verb) + " " + jsonPath(c.path) + "`"
		}
		purposes := strings.Join(c.purposes, ", ")
		if len(c.purposes) == len(d.table.Purposes) {
			purposes = "any"
		}
		out.WriteString("| " + strings.Join([]string{string(c.method.Name()), http, "`" + c.action + "`", strings.Join(c.roles, ", "), purposes}, " | ") + " |\n")
	}
	return out.String()
}
