"""`make bench`: this service beside frameworkless WSGI applications, on the same data and the same servers."""
