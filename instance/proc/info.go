package proc

func boxInfo(c *call) error { return unsupported("box.info") }
