"""Operations: backup, restore and maintenance of a whole warehouse."""
