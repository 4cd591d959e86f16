package client_test

import (
	"context"
	"errors"
	"log"
	"time"

	"tarragon.dev/tarragon/client"

	"github.com/tarantool/go-tarantool/v2"
)

// A write has one of three outcomes; a read may go to a replica.
func ExampleConnect() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	c, err := client.Connect(ctx, []string{"10.0.0.1:3301", "10.0.0.2:3301", "10.0.0.3:3301"}, client.Login("app", "change-me-too"))
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	_, err = c.Do(tarantool.NewInsertRequest("bands").Tuple([]any{2, "Scorpions", 1965}).Context(ctx)).Get()
	var unknown *client.UnknownError
	switch {
	case err == nil:
		log.Print("a majority of disks has it")
	case errors.As(err, &unknown):
		log.Print("it is there or not: look before you try again")
	default:
		log.Print("it is not there, and will not be: ", err)
	}
	rows, err := c.Via(client.PreferReplica).Do(tarantool.NewSelectRequest("bands").Index(0).Key([]any{2}).Context(ctx)).Get()
	log.Print(rows, err)
}
