"""Tables: one module per group of tables, with the rows they take and give."""
