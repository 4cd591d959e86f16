package lua

// Chunk is a text that was read.
type Chunk struct {
	Returns []Expr // of a chunk that is one return statement, or empty
	Other   string // the first statement that is no return, as "local"; empty: there is none
}

// Expr is an expression. Line is where its operator stands, or where it begins.
type Expr interface{ isExpr() }

// Nil, True, False and Dots are the words nil, true, false and ... .
type (
	Nil   struct{}
	True  struct{}
	False struct{}
	Dots  struct{}
)

// Number is a number that is a double.
type Number float64

// String is a string, with its escapes replaced.
type String string

// Opaque is an expression whose parts are not given.
type Opaque struct {
	What string // "a function", "a table constructor" or "the number 1ULL"
}

// Name is a variable.
type Name struct {
	Name string
	Line int
}

// Paren is an expression in parentheses: one value.
type Paren struct{ Of Expr }

// Index is Of[Key]; Of.name has a [String] for its key.
type Index struct {
	Of, Key Expr
	Line    int
}

// Call is a call; with Method one of Of:Method.
type Call struct {
	Of     Expr
	Method string
	Args   []Expr
	Line   int
}

// Unary is an operator, "-", "not" or "#", and its operand.
type Unary struct {
	Op   string
	Of   Expr
	Line int
}

// Binary is an operator and its operands.
type Binary struct {
	Op          string
	Left, Right Expr
	Line        int
}

func (Nil) isExpr()     {}
func (True) isExpr()    {}
func (False) isExpr()   {}
func (Dots) isExpr()    {}
func (Number) isExpr()  {}
func (String) isExpr()  {}
func (Opaque) isExpr()  {}
func (*Name) isExpr()   {}
func (*Paren) isExpr()  {}
func (*Index) isExpr()  {}
func (*Call) isExpr()   {}
func (*Unary) isExpr()  {}
func (*Binary) isExpr() {}
