"""Files → records, whatever tool wrote them. `registry` is the list of formats; every other module is one of them."""
