package sqlitestore

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"net/url"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// conn is one SQLite connection with its prepared statements. It is used
// without package database/sql: the store owns a fixed number of connections
// and each transaction runs on one goroutine, so a pool would only add
// goroutines and hide when COMMIT is sent. One goroutine at a time.
type conn struct {
	raw   driver.Conn
	stmts map[string]driver.Stmt
	args  []driver.NamedValue
}

// rawStmt is what the SQLite driver's statements are.
type rawStmt interface {
	driver.StmtExecContext
	driver.StmtQueryContext
}

// dial opens the file that exists at path. The name goes in as a URI, or a '?'
// in it would end it; mode=rw keeps SQLite from making the file.
func dial(path string) (*conn, error) {
	u := url.URL{Scheme: "file", Path: path, RawQuery: "mode=rw&_error_rc=1&_dqs=0"}
	connector, err := sqlite.NewConnector(u.String())
	if err != nil {
		return nil, err
	}
	raw, err := connector.Connect(context.Background())
	if err != nil {
		return nil, err
	}
	return &conn{raw: raw, stmts: map[string]driver.Stmt{}}, nil
}

// exec runs a statement and returns the number of rows it changed.
func (c *conn) exec(sql string, args ...driver.Value) (int64, error) {
	st, err := c.prepare(sql)
	if err != nil {
		return 0, err
	}
	res, err := st.ExecContext(context.Background(), c.bind(args))
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// query runs a statement to its end and hands each row to scan, which must
// not keep the slice and must not use c.
func (c *conn) query(scan func(row []driver.Value) error, sql string, args ...driver.Value) error {
	st, err := c.prepare(sql)
	if err != nil {
		return err
	}
	rows, err := st.QueryContext(context.Background(), c.bind(args))
	if err != nil {
		return err
	}
	row := make([]driver.Value, len(rows.Columns()))
	for {
		err = rows.Next(row)
		if err == nil {
			err = scan(row)
		}
		if err != nil {
			break
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return errors.Join(err, rows.Close())
}

// first runs a statement and returns its first row, nil when there is none.
func (c *conn) first(sql string, args ...driver.Value) ([]driver.Value, error) {
	var found []driver.Value
	err := c.query(func(row []driver.Value) error {
		if found == nil {
			found = append(found, row...)
		}
		return nil
	}, sql, args...)
	return found, err
}

// number returns the one number that a statement yields, zero for none.
func (c *conn) number(sql string, args ...driver.Value) (int64, error) {
	row, err := c.first(sql, args...)
	if err != nil || row == nil {
		return 0, err
	}
	n, _ := row[0].(int64)
	return n, nil
}

// script runs several statements that are used once.
func (c *conn) script(sql string) error {
	st, err := c.raw.Prepare(sql)
	if err != nil {
		return err
	}
	_, err = st.(rawStmt).ExecContext(context.Background(), nil)
	return errors.Join(err, st.Close())
}

func (c *conn) prepare(sql string) (rawStmt, error) {
	st, ok := c.stmts[sql]
	if !ok {
		var err error
		if st, err = c.raw.Prepare(sql); err != nil {
			return nil, err
		}
		c.stmts[sql] = st
	}
	return st.(rawStmt), nil
}

func (c *conn) bind(args []driver.Value) []driver.NamedValue {
	c.args = c.args[:0]
	for i, v := range args {
		c.args = append(c.args, driver.NamedValue{Ordinal: i + 1, Value: v})
	}
	return c.args
}

// rollback ends a transaction without effect. There is none left when SQLite
// rolled back by itself; that error tells nothing.
func (c *conn) rollback() { _, _ = c.exec("ROLLBACK") }

func (c *conn) close() error {
	var errs []error
	for _, st := range c.stmts {
		errs = append(errs, st.Close())
	}
	return errors.Join(append(errs, c.raw.Close())...)
}

// code is SQLite's primary result code within err, zero when it has none.
func code(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code() & 0xff
	}
	return sqlite3.SQLITE_OK
}

func busy(err error) bool { return code(err) == sqlite3.SQLITE_BUSY }
