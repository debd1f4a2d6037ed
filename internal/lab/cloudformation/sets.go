package cloudformation

import "example.org/catchment/internal/lab/wire"

type stackSet struct{}

func (s *Service) setOperations() map[string]wire.Operation { return nil }
