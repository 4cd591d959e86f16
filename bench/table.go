package main

import (
	"context"
	"errors"
	"io"
)

func standardTable(ctx context.Context, f *flags, out io.Writer) error { return errors.New("not yet") }
