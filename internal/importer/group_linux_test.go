package importer

import (
	"example.org/catchment/internal/store"
	"example.org/catchment/internal/store/dir"
)

func groupOf(s *dir.Store) store.Grouper { return s }
