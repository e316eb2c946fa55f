"""What a team would otherwise write for the contract: FastAPI, SQLAlchemy and pydantic; and the least that it takes.

All of them read the database that `loyalty db upgrade` makes, and find and score members by `models/`, so that what is
compared is the way from a request to its statements and back. Each is told its database by LOYALTY_DATABASE_URL.
"""
