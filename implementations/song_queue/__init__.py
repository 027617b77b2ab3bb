"""The features of several songs at once, as the workers of a service compute them."""
