"""Reports: the page on one data set, the site on the running system, their plots and markup."""
