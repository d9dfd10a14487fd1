module github.com/tenure-go/tenure/store/sqlitestore

go 1.26

require github.com/tenure-go/tenure v0.0.0

replace github.com/tenure-go/tenure => ../..
