package peer

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
)

// postgresClient sends prepared statements with binary parameters, the bytes of
// the protocol and no more.
type postgresClient struct {
	c   *pgconn.PgConn
	key [8]byte
}

// inBinary is the format of parameters and of columns.
var inBinary = []int16{1}

// Put writes one row.
func (c *postgresClient) Put(ctx context.Context, key uint64, value []byte) error {
	binary.BigEndian.PutUint64(c.key[:], key)
	_, err := c.c.ExecPrepared(ctx, "put", [][]byte{c.key[:], value}, inBinary, inBinary).Close()
	return err
}

// Get reads one row.
func (c *postgresClient) Get(ctx context.Context, key uint64) (bool, error) {
	binary.BigEndian.PutUint64(c.key[:], key)
	r := c.c.ExecPrepared(ctx, "get", [][]byte{c.key[:]}, inBinary, inBinary)
	found := r.NextRow()
	_, err := r.Close()
	return found, err
}

// Close closes the connection.
func (c *postgresClient) Close() error { return c.c.Close(context.Background()) }

// standbys says nil once so many stream, and may be waited for.
func (c *postgresClient) standbys(ctx context.Context, n int) error {
	r := c.c.ExecParams(ctx, "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND sync_state = 'quorum'", nil, nil, nil, nil).Read()
	if r.Err != nil {
		return r.Err
	}
	if have := string(r.Rows[0][0]); have != fmt.Sprint(n) {
		return fmt.Errorf("%s of %d standbys stream", have, n)
	}
	return nil
}
